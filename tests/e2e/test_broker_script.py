"""`scripts/broker` as a user types it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.lib import amqp_login, marked
from scripts.lib.broker import started_by_others
from scripts.lib.ports import free_ports, is_free
from scripts.private_node import PrivateNode, scripts_folder
from tests.support.commands import ROOT, run_script
from tests.support.timing import scaled

needs_rabbitmq = pytest.mark.skipif(scripts_folder() is None, reason="rabbitmq-server is not installed")


class Broker:
    """The script, for one instance of its own."""

    def __init__(self) -> None:
        self.instance = f"test-{secrets.token_hex(4)}"
        self.folder = ROOT / ".fanlight" / self.instance

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        if "FANLIGHT_RABBITMQ" in os.environ:
            variables = {"FANLIGHT_RABBITMQ": os.environ["FANLIGHT_RABBITMQ"]} | variables
        flags = ("--instance", self.instance)
        return run_script("scripts/broker", *arguments, *flags, timeout_s=100, environment=variables)

    @property
    def node(self) -> PrivateNode:
        return PrivateNode.attach(self.folder / "node")


@contextmanager
def some_broker() -> Iterator[Broker]:
    script = Broker()
    try:
        yield script
    finally:
        script("down")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with some_broker() as script:
        yield script


def lines(text: str) -> list[str]:
    return text.splitlines()


def can_log_in(url: str) -> bool:
    port = int(url.rpartition(":")[2].partition("/")[0])
    try:
        amqp_login.login("127.0.0.1", port, "fanlight", "fanlight", "fanlight", timeout_s=scaled(5))
    except amqp_login.NotReady:
        return False
    return True


@needs_rabbitmq
def test_a_private_node_comes_up_once_is_replaced_if_it_died_and_leaves_nothing(broker: Broker) -> None:
    up = broker("up", "--private")
    assert (up.returncode, up.stdout) == (0, ""), up.stderr
    url = broker("url").stdout
    assert len(lines(url)) == 1
    assert can_log_in(url.strip())
    status = broker("status")
    assert status.returncode == 0
    assert "answers" in status.stdout
    node = broker.node
    ports = json.loads((node.folder / "node.json").read_text())
    assert {"beam.smp", "epmd"} <= set(node.processes().values())
    assert not is_free(ports["epmd_port"])

    again = broker("up", "--private")
    assert again.returncode == 0
    assert "already up" in again.stderr
    assert broker.node.pid == node.pid

    node.kill()
    status = broker("status")
    assert status.returncode == 1
    assert "does not answer" in status.stdout
    assert broker("up", "--private").returncode == 0
    assert can_log_in(broker("url").stdout.strip())

    node = broker.node
    ports |= json.loads((node.folder / "node.json").read_text())
    assert broker("down").returncode == 0
    assert marked.find(node.name) == {}
    assert not broker.folder.exists()
    numbers = [port for name, port in ports.items() if name.endswith("_port") and port]
    assert [port for port in numbers if not is_free(port)] == []
    status = broker("status")
    assert (status.returncode, status.stdout, len(lines(status.stderr))) == (1, "", 1)


@needs_rabbitmq
def test_two_instances_run_side_by_side_and_stop_apart(broker: Broker) -> None:
    with some_broker() as other:
        assert broker("up", "--private").returncode == 0
        assert other("up", "--private").returncode == 0
        one, two = broker("url").stdout.strip(), other("url").stdout.strip()
        assert one != two
        assert can_log_in(one)
        assert can_log_in(two)
        assert other("down").returncode == 0
        assert not can_log_in(two)
        assert can_log_in(one)


@needs_rabbitmq
def test_a_way_that_fails_is_named_and_the_next_one_is_tried(broker: Broker, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\ncase "$*" in *" up "*) echo "pull access denied"; exit 1;; esac\n')
    docker.chmod(0o755)
    up = broker("up", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert up.returncode == 0, up.stderr
    assert [line for line in lines(up.stderr) if "pull access denied" in line] == [
        "broker: docker compose up failed: pull access denied"
    ]
    assert "private node" in broker("status").stdout


def test_with_nothing_to_start_one_line_says_what_to_do(broker: Broker, tmp_path: Path) -> None:
    up = broker("up", PATH=str(tmp_path), FANLIGHT_RABBITMQ=str(tmp_path))
    assert (up.returncode, up.stdout) == (1, "")
    *others, told = lines(up.stderr)
    assert all("was started otherwise" in line for line in others), "there may be one at the default URL"
    for part in ("Docker is not installed", "rabbitmq-server is not installed", "FANLIGHT_URL"):
        assert part in told
    assert not broker.folder.exists()


def test_a_broker_that_was_started_otherwise_is_named(broker_url: str) -> None:
    accepted = started_by_others(broker_url)
    assert accepted is not None
    assert "was started otherwise" in accepted
    assert "producer and consumer use it where FANLIGHT_URL is not set" in accepted
    refused = started_by_others(broker_url.replace(":fanlight@", ":another@"))
    assert refused is not None
    assert "ACCESS_REFUSED" in refused
    assert "set FANLIGHT_URL to use it" in refused
    assert "another" not in refused
    (port,) = free_ports(1)
    assert started_by_others(f"amqp://127.0.0.1:{port}/x") is None


def test_fanlight_url_is_used_as_it_is_and_never_stopped(broker: Broker, broker_url: str) -> None:
    up = broker("up", FANLIGHT_URL=broker_url)
    assert up.returncode == 0, up.stderr
    assert broker("url", FANLIGHT_URL=broker_url).stdout == broker_url + "\n"
    assert broker("status", FANLIGHT_URL=broker_url).returncode == 0
    assert broker("down", FANLIGHT_URL=broker_url).returncode == 0
    assert can_log_in(broker_url)
    assert not broker.folder.exists()


def test_a_fanlight_url_that_leads_nowhere_is_said_in_one_line(broker: Broker) -> None:
    (port,) = free_ports(1)
    up = broker("up", FANLIGHT_URL=f"amqp://me:secret@127.0.0.1:{port}/x")
    assert up.returncode == 1
    assert len(lines(up.stderr)) == 1
    assert f"127.0.0.1:{port}" in up.stderr
    assert "secret" not in up.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["fly"], "fly"),
        (["up", "--sideways"], "--sideways"),
        (["up", "--docker", "--private"], "--private"),
    ],
)
def test_unusable_arguments_are_refused_in_one_line(
    broker: Broker, arguments: list[str], named: str
) -> None:
    done = broker(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(lines(done.stderr)) == 1
    assert named in done.stderr


def test_help_is_help(broker: Broker) -> None:
    done = broker("--help")
    assert done.returncode == 0
    assert "down: stop what up started" in done.stdout.replace("\n", " ")
