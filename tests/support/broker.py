"""Fixtures that give a test a real RabbitMQ, and a stream of its own on it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from scripts.lib.ports import free_ports
from scripts.private_node import PrivateNode, scripts_folder
from tests.support.timing import scaled

_START_S = 90.0


def require_rabbitmq() -> None:
    """Skip the test where no node can be started."""
    if scripts_folder() is None:
        pytest.skip("rabbitmq-server is not installed; scripts/test installs it where it may")


def new_node() -> PrivateNode:
    """Started; to be stopped by the caller."""
    require_rabbitmq()
    node = PrivateNode()
    node.start(scaled(_START_S))
    return node


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """A broker for the whole run that no test may stop: `FANLIGHT_TEST_URL`, else a private node."""
    given = os.environ.get("FANLIGHT_TEST_URL")
    if given:
        yield given
        return
    node = new_node()
    yield node.url
    node.stop()


@pytest.fixture(
    params=[
        "broker",
        pytest.param("threads", marks=pytest.mark.brokerless),
        pytest.param("multiplex", marks=pytest.mark.brokerless),
    ]
)
def url(request: pytest.FixtureRequest) -> str:
    """Every design in turn: the broker, and the two where the producer listens by itself."""
    if request.param == "broker":
        return str(request.getfixturevalue("broker_url"))
    return tcp_url(request.param)


def with_broker_and(design: str) -> pytest.MarkDecorator:
    """By `url`: over the broker, and over one of the designs without, which consumers do not tell apart."""
    without = pytest.param(design, marks=pytest.mark.brokerless)
    return pytest.mark.parametrize("url", ["broker", without], indirect=True)


def tcp_url(design: str) -> str:
    """An address at which nobody listens yet."""
    return f"tcp+{design}://127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture(scope="session")
def settled_node() -> Iterator[PrivateNode]:
    """A running node of this run's own, whose users and queues a test may look at and change.

    It is not to be stopped: a start takes seconds.
    """
    node = new_node()
    yield node
    node.stop()


@pytest.fixture
def stream() -> str:
    """A stream name that no other test uses, so that tests can share one broker."""
    return f"test-{secrets.token_hex(4)}"
