"""What viewers of a hub keep doing: their queues, their reports, their counts, their end."""

from __future__ import annotations

import csv
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from fanlight.common.model.errors import StreamEnded
from fanlight.consumer import Consumer
from scripts.private_node import VHOST, PrivateNode
from tests.support.broker import with_broker_and
from tests.support.hubs import comes_by, hub
from tests.support.marked_stream import Marking, Watcher
from tests.support.timing import scaled, wait_until
from tests.unit.common.shm.build import in_futex

VIEWERS = 10


def queues(node: PrivateNode, stream: str) -> dict[str, tuple[str, bool]]:
    """The queue of each consumer of the stream, by the consumer's name, and whether it is bound."""
    bindings = _pairs(node, "list_bindings", "source_name", "destination_name")
    bound = {queue for source, queue in bindings if source == f"fanlight.{stream}"}
    consumers = _pairs(node, "list_consumers", "queue_name", "consumer_tag")
    tag_of = f"fanlight.{stream}."
    return {
        tag.removeprefix(tag_of): (queue, queue in bound)
        for queue, tag in consumers
        if tag.startswith(tag_of)
    }


def _pairs(node: PrivateNode, *listed: str) -> list[list[str]]:
    command, *columns = listed
    return [line.split("\t") for line in node.ctl(command, "-p", VHOST, *columns).splitlines()]


@pytest.mark.brokerless
def test_a_viewer_keeps_its_queue_unbound_while_a_hub_serves_it(
    settled_node: PrivateNode, stream: str
) -> None:
    url = settled_node.url
    with (
        Marking(url, stream),
        Watcher(Consumer(stream=stream, name="w", url=url)) as watcher,
    ):
        comes_by(watcher, shared=False)
        before = queues(settled_node, stream)
        ((name, (queue, bound)),) = before.items()
        assert (name, bound) == ("w", True)
        with hub(url, stream) as command:
            comes_by(watcher, shared=True)
            # Its own, for operators to see.
            wait_until(lambda: queues(settled_node, stream)["w"] == (queue, False), 20, "it is unbound")
            command.signal(signal.SIGKILL)
            comes_by(watcher, shared=False)
        wait_until(lambda: queues(settled_node, stream) == before, 20, "it is bound again, and alone")
    assert watcher.consumer.stats().reconnects == 0
    assert not watcher.faults()


@with_broker_and("threads")
def test_viewers_of_a_hub_report_to_the_producer(url: str, stream: str) -> None:
    with (
        Marking(url, stream) as marking,
        hub(url, stream),
        Watcher(Consumer(stream=stream, name="w", url=url)) as watcher,
    ):
        comes_by(watcher, shared=True)

        def served_s() -> float:
            """For how long all frames have come from the hub."""
            seen = list(watcher.seen)
            others = [frame.at_s for frame in seen if not frame.shared]
            return seen[-1].at_s - max(others, default=seen[0].at_s)

        # What was reported before is forgotten by then.
        wait_until(lambda: served_s() > 3.5, 60, "it is served by the hub for a while")
        wait_until(lambda: set(marking.producer.stats().consumers) == {"hub", "w"}, 20, "both report")
        assert watcher.consumer.stats().connected


@with_broker_and("threads")
def test_every_picture_of_a_hub_reaches_its_ten_viewers(url: str, stream: str, tmp_path: Path) -> None:
    trace = tmp_path / "hub.csv"
    with (
        Marking(url, stream) as marking,
        # Its ring holds two seconds: on a machine that is too slow no picture is overwritten unread.
        hub(url, stream, "--max-age", "2s", "--sink", f"trace:{trace}") as command,
        ExitStack() as stack,
    ):
        watchers = [
            stack.enter_context(
                Watcher(Consumer(stream=stream, name=f"w{number}", url=url, via="host", max_age_s=2.0))
            )
            for number in range(VIEWERS)
        ]
        for watcher in watchers:
            comes_by(watcher, shared=True)
        before = [watcher.consumer.stats() for watcher in watchers]
        wait_until(
            lambda: all(
                watcher.consumer.stats().received >= stats.received + 60
                for watcher, stats in zip(watchers, before, strict=True)
            ),
            30,
            "sixty more frames for each",
        )
        after = [watcher.consumer.stats() for watcher in watchers]
        command.signal(signal.SIGINT)
        assert command.wait(10) == 0
        with trace.open() as rows:
            shared = {int(row["seq"]) for row in csv.DictReader(rows) if row["event"] == "presented"}
        for now, earlier in zip(after, before, strict=True):
            # Each is presented, or overtaken by a newer one on a machine that is too slow.
            assert now.received - earlier.received == len(
                [seq for seq in shared if earlier.highest_seq < seq <= now.highest_seq]
            )
        assert marking.producer.failure is None
    for watcher in watchers:
        assert not watcher.faults(2.0)


@with_broker_and("threads")
@pytest.mark.parametrize("fps", [0.5, 30])
def test_a_viewer_that_waits_for_a_hubs_frame_can_be_closed(url: str, stream: str, fps: float) -> None:
    consumer = Consumer(stream=stream, name="w", url=url, via="host")
    ended = threading.Event()

    def read() -> None:
        try:
            while True:
                consumer.read()
        except StreamEnded:
            ended.set()

    with Marking(url, stream, fps=fps), hub(url, stream), consumer:
        assert consumer.read(scaled(20)) is not None
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        wait_until(lambda: in_futex(thread), 20, "it waits at the ring")
        consumer.close()
        assert ended.wait(scaled(5))
        thread.join()
