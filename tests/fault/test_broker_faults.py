"""A broker that is absent, killed and restarted, or tidied up; and peers that come and go."""

from __future__ import annotations

import logging
import math
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pika
import pytest

from fanlight.common.clock import wall_ns
from fanlight.common.transport.amqp import topology
from scripts.measure.traces import Shown, read
from scripts.private_node import VHOST, PrivateNode
from tests.support.commands import Command, at_most_one_a_second, running
from tests.support.fault_stream import (
    FPS,
    HANDOVER_S,
    MAX_AGE_S,
    RECOVERY_S,
    Fading,
    Watcher,
    only_queue,
    streaming,
)
from tests.support.timing import scaled, wait_until

UNREACHABLE = "nothing answers"


def frames(trace: Path) -> list[Shown]:
    """What a consumer has presented so far."""
    return read(trace) if trace.exists() else []


def warnings_of(command: Command) -> list[float]:
    """When a command warned that there is no broker."""
    return [line.at_s for line in command.err.lines if UNREACHABLE in line.text]


def test_no_broker_at_start(
    node: PrivateNode, stream: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Commands and API alike warn, once a second at most, and connect when it appears."""
    caplog.set_level(logging.INFO)
    picture = tmp_path / "seen.png"
    other = f"{stream}-commands"
    node.kill()
    with ExitStack() as stack:
        commands = [
            stack.enter_context(
                running("producer", "--url", node.url, "--stream", other, "--size", "320x180")
            ),
            stack.enter_context(
                running("consumer", "--url", node.url, "--stream", other, "--sink", f"snapshot:{picture}")
            ),
        ]
        feeder = stack.enter_context(Fading(node.url, stream))
        watcher = stack.enter_context(Watcher(node.url, stream))

        def warnings(program: str) -> list[float]:
            return [
                record.created
                for record in caplog.records
                if UNREACHABLE in record.message and f" {program} " in record.message
            ]

        for command in commands:
            wait_until(lambda: len(warnings_of(command)) >= 3, 20, "the command warns")  # noqa: B023
        wait_until(lambda: len(warnings("consumer")) >= 3, 20, "the API warns")
        node.start(scaled(60))
        watcher.wait_flow(RECOVERY_S)
        wait_until(picture.exists, RECOVERY_S, "the consumer command shows a frame")
        for command in commands:
            command.wait_line("connected to")
            assert at_most_one_a_second(warnings_of(command)), command.err.text
            command.signal(signal.SIGTERM)
            assert command.wait(timeout_s=5) == 0, command.err.text
            assert "Traceback" not in command.err.text, command.err.text
        for program in ("producer", "consumer"):
            assert at_most_one_a_second(warnings(program)), caplog.text
        assert feeder.producer.stats().published >= 10


def test_broker_killed_and_restarted_under_a_stream(node: PrivateNode, stream: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    other = f"{stream}-commands"
    with (
        running("producer", "--url", node.url, "--stream", other, "--size", "320x180") as producer,
        running("consumer", "--url", node.url, "--stream", other, "--sink", f"trace:{trace}") as consumer,
        streaming(node, stream) as (feeder, watcher),
    ):
        wait_until(lambda: len(frames(trace)) > 10, 15, "the commands stream")
        node.kill()
        killed_s = time.monotonic()
        for command in (producer, consumer):
            command.wait_line(UNREACHABLE)
        node.start(scaled(60))
        returned_s, returned_ns = time.monotonic(), wall_ns()
        wait_until(lambda: len(watcher.after(returned_s)) >= 10, RECOVERY_S, "frames again in the API")
        assert watcher.after(returned_s)[0].at_s > killed_s
        wait_until(
            lambda: [frame for frame in frames(trace) if frame.capture_ns > returned_ns],
            RECOVERY_S + 1.5,  # a trace is written once a second
            "frames again in the commands",
        )
        assert watcher.consumer.stats().reconnects == 1
        assert watcher.consumer.stats().connected
        assert len({seen.epoch for seen in watcher.seen}) == 1
        assert feeder.producer.watched
        for command in (consumer, producer):
            command.signal(signal.SIGINT)
            assert command.wait(timeout_s=5) == 0, command.err.text
            assert "Traceback" not in command.err.text, command.err.text
            # One outage, however many links a process has: its begin, ever fewer lines, its end.
            lines = [line.text for line in command.err.lines]
            assert len([line for line in lines if " and " in line and " attempts" in line]) == 1, lines
            # After 2, 4, 8, 16 s and so on, and up to four reasons that are new.
            most = 4 + math.log2(1 + (returned_s - killed_s + RECOVERY_S) / 2)
            assert len([line for line in lines if "; attempt " in line]) <= most, lines
    assert max(frame.age_ms for frame in frames(trace)) <= (MAX_AGE_S + HANDOVER_S) * 1000


def test_producer_replaced_under_a_consumer(node: PrivateNode, stream: str) -> None:
    with Watcher(node.url, stream) as watcher:
        with Fading(node.url, stream) as first:
            watcher.wait_flow(10)
        with Fading(node.url, stream) as second:
            wait_until(lambda: watcher.seen[-1].epoch == second.producer.epoch, RECOVERY_S, "the new epoch")
            watcher.wait_flow()
        epochs = [seen.epoch for seen in watcher.seen]
        assert epochs == sorted(epochs, key=[first.producer.epoch, second.producer.epoch].index)
        assert watcher.consumer.stats().reconnects == 0


def test_consumer_replaced_under_a_producer(node: PrivateNode, stream: str) -> None:
    with streaming(node, stream) as (feeder, first):
        first.consumer.close()
        wait_until(lambda: not feeder.producer.watched, RECOVERY_S, "the producer notices that it is alone")
        with Watcher(node.url, stream) as second:
            second.wait_flow(RECOVERY_S)
            assert second.seen[0].seq > first.seen[-1].seq


def test_all_connections_closed_by_an_operator(node: PrivateNode, stream: str) -> None:
    with streaming(node, stream) as (_, watcher):
        node.ctl("close_all_connections", "-p", VHOST, "maintenance")
        wait_until(lambda: watcher.consumer.stats().reconnects, 20, "the connection is lost")
        watcher.wait_flow(RECOVERY_S)


def test_queue_deleted_by_an_operator(node: PrivateNode, stream: str) -> None:
    with streaming(node, stream) as (_, watcher):
        queue = only_queue(node)
        node.ctl("delete_queue", "-p", VHOST, queue)
        wait_until(lambda: watcher.consumer.stats().reconnects, 20, "the subscription is lost")
        watcher.wait_flow(RECOVERY_S)
        only_queue(node)


def test_exchange_deleted_by_an_operator(node: PrivateNode, stream: str) -> None:
    with streaming(node, stream) as (_, watcher):
        with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
            connection.channel().exchange_delete(topology.exchange(stream))
        # The consumer's queue lives on, bound to nothing; it has to find out by itself.
        watcher.wait_flow(2 * RECOVERY_S, frames=30)


def test_consumer_suspended(node: PrivateNode, stream: str, tmp_path: Path) -> None:
    """What piled up for a process that stood still is never shown."""
    trace = tmp_path / "trace.csv"
    where = ("--url", node.url, "--stream", stream)
    flags = (*where, "--max-age", f"{MAX_AGE_S}s", "--sink", f"trace:{trace}")
    with Fading(node.url, stream) as feeder, running("consumer", *flags) as command:
        wait_until(lambda: len(frames(trace)) > 10, 15, "frames are presented")
        command.signal(signal.SIGSTOP)
        mark = feeder.producer.stats().published
        wait_until(lambda: feeder.producer.stats().published > mark + 3 * FPS, 20, "3 s of frames pass")
        command.signal(signal.SIGCONT)
        resumed_ns = wall_ns()
        wait_until(
            lambda: len([frame for frame in frames(trace) if frame.capture_ns > resumed_ns]) > FPS,
            10,
            "fresh frames are presented again",
        )
        command.signal(signal.SIGTERM)
        assert command.wait(timeout_s=5) == 0, command.err.text
    assert max(frame.age_ms for frame in frames(trace)) <= (MAX_AGE_S + HANDOVER_S) * 1000
