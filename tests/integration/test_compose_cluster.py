"""What docs/broker.md promises of docker-compose.cluster.yml: three nodes, of which any may go."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from scripts.lib import broker_docker
from scripts.lib.ports import free_ports
from tests.support.clustered import Log, clustered
from tests.support.commands import ROOT, clean_environment
from tests.support.timing import scaled

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
        assert running.moved(moment) == {c: int(c in moment.there) for c in running.clients}
        assert running.wrong() == []
