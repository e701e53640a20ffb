"""The broker stands still (SIGSTOP), shortly or long: at start, in the middle, at a change, at the end."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from fanlight.common import transport
from scripts.private_node import PrivateNode
from tests.support.bad_line import wait_long
from tests.support.commands import Command, running
from tests.support.fanout_events import Events, frame
from tests.support.fault_stream import RECOVERY_S, Fading, Watcher, queues, streaming
from tests.support.timing import scaled, wait_until

# Shorter than anything of ours, longer than an attempt, and longer than all of it.
LENGTHS_S = (0.1, 1.0, 2.5, 5.0)
MANY = 24
SMALL = ("--size", "160x90", "--fps", "5")

long_and_short = pytest.mark.parametrize("length_s", LENGTHS_S)


@contextmanager
def suspended(node: PrivateNode, length_s: float) -> Iterator[None]:
    """It stands still from the beginning of the block until so long after its end."""
    node.suspend()
    try:
        yield
        wait_long(length_s)
    finally:
        node.resume()


@pytest.fixture(autouse=True)
def no_internal_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    yield
    assert not [record.getMessage() for record in caplog.records if record.exc_info]
    assert "internal error" not in caplog.text


@long_and_short
def test_a_consumer_and_a_producer_start(node: PrivateNode, stream: str, length_s: float) -> None:
    with suspended(node, length_s), ExitStack() as stack:
        feeder = stack.enter_context(Fading(node.url, stream))
        watcher = stack.enter_context(Watcher(node.url, stream))
        rest = stack.pop_all()
    with rest:
        watcher.wait_flow(RECOVERY_S)
        assert feeder.producer.failure is None
        assert len(queues(node)) == 1
    wait_until(lambda: not queues(node), 20, "its queue is gone")


@long_and_short
def test_in_the_middle_of_a_stream(node: PrivateNode, stream: str, length_s: float) -> None:
    with streaming(node, stream) as (_, watcher):
        with suspended(node, length_s):
            pass
        watcher.wait_flow(RECOVERY_S)
        wait_until(lambda: len(queues(node)) == 1, 20, "no queue of a lost connection is left")


@long_and_short
def test_at_a_changeover(node: PrivateNode, stream: str, length_s: float) -> None:
    sent, got = Events(), Events()
    publisher = transport.publisher(node.url, stream=stream, max_age_s=10, events=sent)
    subscriber = transport.subscriber(
        node.url, stream=stream, name="w", max_age_s=10, events=got, follow=False
    )
    publisher.start()
    subscriber.start()
    try:
        sent.wait("connected")  # else there is no exchange yet, and the consumer begins anew
        got.wait("connected")
        with suspended(node, length_s):
            for number in range(51):
                subscriber.follow_stream(number % 2 == 0)
        got.wait("following")
        for seq in range(5):
            assert publisher.wait_ready(scaled(RECOVERY_S))
            publisher.publish(frame(stream, seq))
            assert got.frame().header.seq == seq
    finally:
        subscriber.stop(2)
        publisher.stop(2)
    wait_until(lambda: not queues(node), 20, "its queue is gone")


@pytest.mark.parametrize("length_s", [0.1, 5.0])
def test_many_consumers_are_interrupted(node: PrivateNode, stream: str, length_s: float) -> None:
    where = ("--url", node.url, "--stream", stream)
    with ExitStack() as stack:
        stack.enter_context(running("producer", *where, *SMALL))
        consumers: list[Command] = []
        for number in range(MANY):
            name = ("--name", f"c{number}", "--via", "broker", "--sink", "null")
            consumers.append(stack.enter_context(running("consumer", *where, *name)))
        for consumer in consumers:
            consumer.wait_line("connected to", 60)
        wait_until(lambda: len(queues(node)) == MANY, 20, "all of them have their queue")
        with suspended(node, length_s):
            for consumer in consumers:
                consumer.signal(signal.SIGINT)
        for consumer in consumers:
            assert consumer.wait(30) == 0, consumer.err.text
            assert "Traceback" not in consumer.err.text
            assert "internal error" not in consumer.err.text
        wait_until(lambda: not queues(node), 20, "their queues are gone")
