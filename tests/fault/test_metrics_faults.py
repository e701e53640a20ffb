"""What `/healthz`, the metrics and the doctor say when a producer dies and when the broker has an alarm."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.lib.ports import free_ports
from scripts.private_node import VHOST, PrivateNode
from tests.support.commands import Command, running
from tests.support.doctor import examine, problems
from tests.support.scrape import health, scrape
from tests.support.timing import wait_until

SMALL = ("--size", "320x180")
# 3 s without a frame, and what a busy machine adds.
NOTICED_S = 10.0


@pytest.fixture
def ports() -> tuple[int, int]:
    first, second = free_ports(2)
    return first, second


@contextmanager
def producing(node: PrivateNode, stream: str, port: int) -> Iterator[Command]:
    with running(
        "producer", "--url", node.url, "--stream", stream, *SMALL, "--metrics", f":{port}"
    ) as command:
        yield command


@contextmanager
def watching(node: PrivateNode, stream: str, port: int) -> Iterator[Command]:
    where = ("--url", node.url, "--stream", stream, "--sink", "null")
    with running("consumer", *where, "--metrics", f":{port}") as command:
        yield command


def test_a_broker_short_of_memory_is_counted(
    node: PrivateNode, stream: str, ports: tuple[int, int]
) -> None:
    seen, shown = ports
    with producing(node, stream, seen), watching(node, stream, shown):
        wait_until(lambda: health(shown)[0] == health(seen)[0] == 200, 15, "frames flow")
        node.ctl("set_vm_memory_high_watermark", "0.0000001")
        wait_until(lambda: health(seen)[0] == health(shown)[0] == 503, 2 * NOTICED_S, "frames stop")
        assert health(seen)[1] == "broker blocked: it is short of memory or disk"
        assert health(shown)[1].endswith("broker blocked: it is short of memory or disk")
        during = scrape(seen)
        assert during("producer_blocked") == scrape(shown)("consumer_blocked") == 1
        node.ctl("set_vm_memory_high_watermark", "0.4")
        wait_until(lambda: health(seen)[0] == health(shown)[0] == 200, NOTICED_S, "frames flow again")
        after = scrape(seen)
        assert after("producer_blocked") == scrape(shown)("consumer_blocked") == 0
        assert after("producer_blocked_seconds_total") >= during("producer_blocked_seconds_total") > 1
        assert scrape(seen)("producer_blocked_seconds_total") == after("producer_blocked_seconds_total")
        assert after("producer_reconnects_total") == 0


def test_a_broker_that_refuses_and_one_with_an_alarm(node: PrivateNode, stream: str) -> None:
    """Wrong password, few permissions, an alarm: each has its own finding."""
    wrong = node.url.replace("fanlight:fanlight", "fanlight:SECRET")
    code, found = examine("consumer", "--doctor", "--url", wrong)
    assert code == 1
    assert "refused the user name or password" in problems(found)[f"consumer at 127.0.0.1:{node.port}"]

    node.ctl("add_user", "few", "SECRET")
    node.ctl("set_permissions", "-p", VHOST, "few", "^$", "^fanlight.control$", "^$")
    few = node.url.replace("fanlight:fanlight", "few:SECRET")
    code, found = examine("producer", "--doctor", "--url", few, "--stream", stream)
    assert code == 1
    text = problems(found)[f"producer at 127.0.0.1:{node.port}"]
    assert "few may not do what a producer does: ACCESS_REFUSED" in text
    assert "rabbitmqctl set_permissions" in text

    node.ctl("set_vm_memory_high_watermark", "0.0000001")
    code, found = examine("consumer", "--doctor", "--url", node.url)
    assert (code, set(problems(found))) == (1, {f"consumer at 127.0.0.1:{node.port}"})
    assert "rabbitmq-diagnostics alarms" in problems(found)[f"consumer at 127.0.0.1:{node.port}"]
    node.ctl("set_vm_memory_high_watermark", "0.4")


def test_health_follows_the_producer(node: PrivateNode, stream: str, ports: tuple[int, int]) -> None:
    seen, shown = ports
    with watching(node, stream, shown):
        wait_until(lambda: "is a producer running?" in health(shown)[1], 15, "it is connected")
        assert health(shown)[0] == 503
        with producing(node, stream, seen) as producer:
            wait_until(lambda: health(shown) == (200, "frames flow"), 15, "frames flow")
            producer.signal(signal.SIGKILL)
            # Until it has sent eight frames, it may be a slow one.
            wait_until(lambda: health(shown)[0] == 503, 10 + NOTICED_S, "frames stop")
            assert "nothing arrives" in health(shown)[1]
            assert scrape(shown)("consumer_healthy") == 0
        with producing(node, stream, seen):
            wait_until(lambda: health(shown)[0] == 200, 15, "frames flow again")
        node.kill()
        wait_until(
            lambda: health(shown)[1].endswith(": not connected"), 10 + NOTICED_S, "the broker is gone"
        )
        assert scrape(shown)("consumer_reconnects_total") == 1
