"""`--url` with several hosts of which some are silent, refuse, or are not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from fanlight.common.model.address import DEFAULT_URL
from fanlight.common.model.errors import BrokerRefused
from fanlight.consumer import Consumer
from scripts.lib.ports import LOOPBACK, free_ports
from tests.support.clustered import Log
from tests.support.commands import at_most_one_a_second
from tests.support.timing import scaled, wait_until

# An attempt at a host that does not answer takes 1.5 s; then the next host is tried.
SILENCE_S = 1.5
_TRIES = 40


@pytest.fixture
def log() -> Iterator[Log]:
    with Log() as log:
        yield log


@pytest.fixture
def silent_port() -> Iterator[int]:
    """The system accepts connections there, and nobody answers."""
    with socket.create_server((LOOPBACK, 0), backlog=100) as listening:
        yield listening.getsockname()[1]


def with_hosts(url: str, *hosts: str, password: str | None = None) -> str:
    parts = urlsplit(url)
    login = f"{parts.username}:{parts.password if password is None else password}"
    return f"{parts.scheme}://{login}@{','.join(hosts)}{parts.path}"


def broker(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"


def test_a_host_that_does_not_answer_costs_little(
    broker_url: str, stream: str, silent_port: int, log: Log
) -> None:
    url = with_hosts(broker_url, f"{LOOPBACK}:{silent_port}", broker(broker_url))
    for number in range(_TRIES):  # the first host is drawn at random
        client = f"fanlight consumer {stream} c{number}"
        with Consumer(stream=stream, name=f"c{number}", url=url) as consumer:
            consumer.start()
            wait_until(lambda: log.moves(client), 10 * SILENCE_S, "it connects")  # noqa: B023
            if log.warned_s(client):
                assert f":{silent_port}/" in log.text
                return
    raise AssertionError("none began at the silent host")


def test_every_host_is_asked_before_a_refusal_is_final(broker_url: str, stream: str, log: Log) -> None:
    parts = urlsplit(broker_url)
    url = with_hosts(
        broker_url, f"127.0.0.1:{parts.port}", f"localhost:{parts.port}", password="not this one"
    )
    with Consumer(stream=stream, name="c", url=url) as consumer:
        with pytest.raises(BrokerRefused, match="user name or password"):
            consumer.read(timeout_s=scaled(10))
        # The first refusal was no more than a warning; the second ended it.
        assert len(log.warned_s(f"fanlight consumer {stream} c")) == 1


def test_a_refusal_is_not_final_while_another_host_is_not_there(
    broker_url: str, stream: str, log: Log
) -> None:
    url = with_hosts(
        broker_url, broker(broker_url), f"{LOOPBACK}:{free_ports(1)[0]}", password="not this one"
    )
    client = f"fanlight consumer {stream} c"
    with Consumer(stream=stream, name="c", url=url) as consumer:
        consumer.start()
        wait_until(lambda: len(log.warned_s(client)) >= 3, 20, "it goes on asking")
        assert consumer.read(timeout_s=0.1) is None
    assert at_most_one_a_second(log.warned_s(client))


def test_viewers_spread_over_the_hosts(broker_url: str, stream: str, log: Log) -> None:
    """Two names of one broker stand for two nodes."""
    port = urlsplit(broker_url).port
    url = with_hosts(broker_url, f"127.0.0.1:{port}", f"localhost:{port}")
    with ExitStack() as stack:
        for number in range(20):
            consumer = stack.enter_context(Consumer(stream=stream, name=f"c{number}", url=url))
            consumer.start()
        wait_until(lambda: log.text.count("connected to") == 20, 15, "all connect")
    assert 2 <= log.text.count("@localhost:") <= 18


def test_a_program_stops_at_once_while_no_host_answers(stream: str, silent_port: int) -> None:
    url = with_hosts(DEFAULT_URL, f"{LOOPBACK}:{silent_port}", f"localhost:{silent_port}")
    consumer = Consumer(stream=stream, name="c", url=url)
    consumer.start()
    assert consumer.read(timeout_s=0.3) is None
    began_s = time.monotonic()
    consumer.close()
    assert time.monotonic() - began_s < scaled(2.0)
