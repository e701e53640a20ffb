"""What docs/broker.md promises of docker-compose.cluster.yml: three nodes, of which any may go."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from scripts.lib import broker_docker
from scripts.lib.amqp_login import NotReady, login
from scripts.lib.ports import free_ports
from tests.support.clustered import Log, clustered
from tests.support.commands import ROOT, clean_environment
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.docker

RECOVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Composed:
    """The running cluster.

    Attributes:
        ports: of AMQP, by node.
    """

    project: str
    environment: dict[str, str]
    ports: list[int]

    @property
    def url(self) -> str:
        hosts = ",".join(f"localhost:{port}" for port in self.ports)
        return f"amqp://fanlight:fanlight@{hosts}/fanlight"

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        files = ("-f", "docker-compose.cluster.yml", "-p", self.project)
        return subprocess.run(
            ("docker", "compose", *files, *arguments),
            check=False,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=scaled(180),
        )

    def cookie(self, number: int) -> str:
        """What a node reads at its start."""
        return self.compose("exec", f"broker-{number}", "cat", "/var/lib/rabbitmq/.erlang.cookie").stdout

    def takes_clients(self, number: int) -> bool:
        try:
            login("127.0.0.1", self.ports[number - 1], "fanlight", "fanlight", "fanlight")
        except NotReady:
            return False
        return True

    def is_complete(self, number: int) -> bool:
        """Whether all nodes are in the cluster, as this one sees it."""
        command = ("rabbitmqctl", "--quiet", "cluster_status", "--formatter", "json")
        asked = self.compose("exec", f"broker-{number}", *command)
        return asked.returncode == 0 and len(json.loads(asked.stdout)["running_nodes"]) == len(self.ports)

    def container(self, number: int) -> str:
        return self.compose("ps", "-aq", f"broker-{number}").stdout.strip()


@pytest.fixture(scope="module")
def composed() -> Iterator[Composed]:
    problem = broker_docker.missing()
    if problem is not None:
        pytest.skip(problem)
    amqp, consoles = free_ports(3), free_ports(3)
    names = ["", "_2", "_3"]
    environment = clean_environment()
    environment |= {f"FANLIGHT_AMQP_PORT{name}": str(port) for name, port in zip(names, amqp, strict=True)}
    environment |= {
        f"FANLIGHT_MANAGEMENT_PORT{name}": str(port) for name, port in zip(names, consoles, strict=True)
    }
    cluster = Composed(f"fanlight-cluster-{secrets.token_hex(3)}", environment, amqp)
    try:
        up = cluster.compose("up", "-d", "--wait")
        assert up.returncode == 0, up.stderr
        yield cluster
    finally:
        down = cluster.compose("down", "--volumes", "--timeout", "1")
        assert down.returncode == 0, down.stderr


def test_a_killed_container_does_not_end_the_stream(composed: Composed, stream: str) -> None:
    with Log() as log, clustered(composed.url, composed.ports, stream, log) as running:
        mapped = re.findall(r"(\S+?):\d+->", composed.compose("ps", "--format", "{{.Ports}}").stdout)
        assert mapped == ["127.0.0.1"] * 6
        victim = composed.container(1)
        moment = running.moment(composed.ports[0])
        assert len(moment.there) == 2
        subprocess.run(("docker", "kill", victim), check=True, capture_output=True)
        running.wait_moved(moment)
        running.wait_flow()
        assert max(running.recovered_s(moment)) < scaled(RECOVERY_S), log.text
        assert running.strayed(moment) == {}, log.text
        assert running.wrong() == []


@pytest.mark.timeout(400)
def test_every_node_restarts_three_times(composed: Composed) -> None:
    """One after the other, as one updates a cluster: the one that drew the cookie is among them."""
    up = composed.compose("up", "-d", "--wait")
    assert up.returncode == 0, up.stderr
    cookie = composed.cookie(1)
    assert len(cookie.strip()) == 40
    for number in (1, 2, 3) * 3:
        restarted = composed.compose("restart", f"broker-{number}")
        assert restarted.returncode == 0, restarted.stderr
        # It listens once it is in the cluster: Docker, and a node's own tools, see that seconds later.
        wait_until(partial(composed.takes_clients, number), 60, f"broker-{number} is back")
        assert composed.cookie(number) == cookie
        if number == 3:
            wait_until(partial(composed.is_complete, 1), 30, "another node sees all")
