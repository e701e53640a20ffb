"""What README promises: `docker compose up -d --wait`, then the two commands without an argument."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.lib import amqp_login, broker_docker
from scripts.lib.ports import is_free
from tests.support.timing import scaled

pytestmark = pytest.mark.docker

CHECKOUT = Path(__file__).resolve().parents[2]
# As a user has it: nothing set, and no display, so that the consumer prints its status line.
PLAIN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("FANLIGHT_") and name not in {"DISPLAY", "WAYLAND_DISPLAY"}
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, cwd=CHECKOUT, env=PLAIN, capture_output=True, text=True, timeout=scaled(100)
    )


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


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=PLAIN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def read_until(process: subprocess.Popen[str], pattern: str, timeout_s: float) -> None:
    """Read the process's lines up to one that matches. They come once a second, so the deadline holds."""
    assert process.stdout is not None
    deadline = time.monotonic() + scaled(timeout_s)
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return
        assert time.monotonic() < deadline, f"no line matches {pattern!r}: {''.join(seen)}"
    raise AssertionError(f"ended before a line matched {pattern!r}: {''.join(seen)}")


def interrupt(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=scaled(5))
    return process.returncode


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


@pytest.mark.usefixtures("composed")
def test_the_two_commands_without_an_argument_show_the_stream() -> None:
    with running("-m", "producer") as producer, running("-m", "consumer", "--name", "c1") as consumer:
        read_until(consumer, r"[1-9]\d*\.\d fps", timeout_s=20)
        assert interrupt(consumer) == 0
        assert interrupt(producer) == 0
