"""What README promises: `docker compose up -d --wait`, then the two commands without an argument."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from scripts.lib import amqp_login, broker_docker
from scripts.lib.ports import is_free
from tests.support.commands import ROOT, clean_environment, running
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.docker


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, cwd=ROOT, env=clean_environment(), capture_output=True, text=True,
        timeout=scaled(200),
    )  # fmt: skip


@pytest.fixture(scope="module")
def composed() -> Iterator[None]:
    problem = broker_docker.missing()
    if problem is not None:
        pytest.skip(problem)
    if not (is_free(5672) and is_free(15672)):
        pytest.skip("port 5672 or 15672 is in use: this test needs the default ports")
    up = run("docker", "compose", "up", "-d", "--wait")
    try:
        assert up.returncode == 0, up.stderr
        yield
    finally:
        down = run("docker", "compose", "down", "--volumes")
        assert down.returncode == 0, down.stderr


def login(user: str, password: str) -> None:
    amqp_login.login("127.0.0.1", 5672, user, password, "fanlight", timeout_s=scaled(5))


@pytest.mark.usefixtures("composed")
def test_only_our_user_is_let_in() -> None:
    login("fanlight", "fanlight")
    with pytest.raises(amqp_login.Refused, match="ACCESS_REFUSED"):
        login("guest", "guest")


@pytest.mark.usefixtures("composed")
def test_the_ports_are_open_on_this_machine_only() -> None:
    published = run("docker", "compose", "ps", "--format", "{{.Ports}}").stdout
    mapped = re.findall(r"(\S+?):(\d+)->", published)
    assert sorted(mapped) == [("127.0.0.1", "15672"), ("127.0.0.1", "5672")]


@pytest.mark.usefixtures("composed")
def test_the_health_check_leaves_no_trace_in_the_log() -> None:
    log = run("docker", "compose", "logs", "--no-color").stdout
    assert "Server startup complete" in log
    # The check comes from inside the container, every other client through the port map.
    assert [line for line in log.splitlines() if "127.0.0.1:" in line] == []


def tags_in_the_console() -> set[str]:
    """The names that RabbitMQ's console shows for the consumers of the vhost."""
    login = base64.b64encode(b"fanlight:fanlight").decode()
    with contextlib.closing(HTTPConnection("127.0.0.1", 15672, timeout=scaled(20))) as connection:
        connection.request("GET", "/api/consumers/fanlight", headers={"Authorization": f"Basic {login}"})
        return {consumer["consumer_tag"] for consumer in json.load(connection.getresponse())}


@pytest.mark.usefixtures("composed")
def test_the_two_commands_without_an_argument_show_the_stream() -> None:
    with running("producer") as producer, running("consumer", "--name", "c1") as consumer:
        line = consumer.out.wait_for(
            lambda text: re.search(r"[1-9]\d*\.\d fps", text) is not None, scaled(40)
        )
        assert line is not None, consumer.out.text
        wait_until(lambda: "fanlight.cam.c1" in tags_in_the_console(), 20, "its name is in the console")
        for command in (consumer, producer):
            command.signal(signal.SIGINT)
            assert command.wait(10) == 0
