"""Pools over a real broker: each frame to one idle worker, the newest first, and whatever goes wrong."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fanlight import aio
from fanlight.common.clock import wall_ns
from fanlight.common.model.errors import BrokerRefused
from fanlight.common.model.frame import Codec
from fanlight.common.transport.amqp import topology
from fanlight.consumer import Consumer
from scripts.lib.tcp_proxy import TcpProxy
from scripts.private_node import VHOST, PrivateNode
from tests.support.commands import running
from tests.support.pools import Blocks, Worker, is_right, pool_queue, taken, wait_all_work, wait_members
from tests.support.roles import as_user, channel_of
from tests.support.timing import scaled, wait_until
from tests.support.watching import Watcher

ODD = (97, 49)
EVERY_KIND = pytest.mark.parametrize("codec", ["h264", "jpeg"])
MAX_AGE_S = 0.5


def faults(workers: list[Worker]) -> list[str]:
    """What must never be, besides a frame that two of them took."""
    twice = [f"taken {times} times: {frame}" for frame, times in taken(workers).items() if times > 1]
    return twice + [fault for worker in workers for fault in worker.faults(MAX_AGE_S)]


@EVERY_KIND
def test_each_frame_goes_to_one_worker(broker_url: str, stream: str, codec: str) -> None:
    with (
        ExitStack() as stack,
        Blocks(broker_url, stream, codec=codec, size=ODD) as feeder,
        Consumer(stream, "idle", pool="workers", url=broker_url) as idle,
    ):
        wait_until(lambda: idle.stats().connected, 10, "a member that does not ask is connected")
        workers = [stack.enter_context(Worker(broker_url, stream)) for _ in range(3)]
        wait_all_work(workers, 8)
        assert idle.stats().received == 0, "it would only keep a frame from the others"
        assert faults(workers) == []
        assert {worker.consumer.stats().lost for worker in workers} == {0}
        assert {codec for worker in workers for codec in worker.codecs} == {Codec.JPEG}
        assert feeder.producer.stats().keyframe_requests == 0
        assert feeder.producer.watched


def test_pools_and_other_consumers_get_the_same_frames(broker_url: str, stream: str) -> None:
    with (
        Blocks(broker_url, stream, codec="h264", size=ODD) as feeder,
        Watcher(Consumer(stream, "other", url=broker_url), is_right) as other,
        Worker(broker_url, stream, "one") as one,
        Worker(broker_url, stream, "two") as two,
    ):
        watchers = [other, one, two]

        def common() -> set[int]:
            return set.intersection(*({seen.seq for seen in list(each.seen)} for each in watchers))

        wait_until(lambda: len(common()) >= 5, 15, "all get the same frames")
        captured = [{seen.seq: seen.capture_ns for seen in list(each.seen)} for each in watchers]
        for seq in common():
            assert len({captures[seq] for captures in captured if seq in captures}) == 1
        assert {seen.epoch for each in watchers for seen in each.seen} == {feeder.producer.epoch}
        assert faults([one]) == []
        assert faults([two]) == []
        assert other.faults(MAX_AGE_S) == []
        stats = other.consumer.stats()
        assert (stats.malformed, stats.duplicate, stats.undecodable) == (0, 0, 0)
        assert feeder.producer.stats().intra > 0


def test_a_worker_may_be_a_coroutine_or_take_frames_as_they_are(broker_url: str, stream: str) -> None:
    async def read(count: int) -> list[tuple[int, int]]:
        async with aio.Consumer(stream, "coroutine", pool="workers", url=broker_url) as frames:
            seen: list[tuple[int, int]] = []
            async for frame in frames:
                assert is_right(frame)
                seen.append((frame.epoch, frame.seq))
                if len(seen) == count:
                    return seen
            raise AssertionError("the stream has ended")

    with (
        Blocks(broker_url, stream, codec="h264", size=ODD),
        Consumer(stream, "encoded", pool="workers", decode=False, url=broker_url) as encoded,
        Worker(broker_url, stream) as worker,
    ):
        wait_all_work([worker])
        taken_here = []
        for _ in range(5):
            frame = encoded.read(scaled(10))
            assert frame is not None
            assert frame.encoded.startswith(b"\xff\xd8"), "a JPEG file"
            taken_here.append((frame.epoch, frame.seq))
        taken_here += asyncio.run(asyncio.wait_for(read(5), scaled(15)))
        everybody = Counter(taken_here) + taken([worker])
        assert [frame for frame, times in everybody.items() if times > 1] == []


def test_busy_workers_find_the_newest_frame_when_they_are_done(broker_url: str, stream: str) -> None:
    with (
        Blocks(broker_url, stream, codec="jpeg") as feeder,
        Worker(broker_url, stream) as one,
        Worker(broker_url, stream) as two,
    ):
        workers = [one, two]
        wait_all_work(workers)
        for worker in workers:
            worker.busy(True)
        wait_until(lambda: all(worker.has_frame for worker in workers), 15, "both are busy")
        held = [len(worker.seen) for worker in workers]
        for _ in range(5):
            count = feeder.producer.stats().published + 5
            wait_until(lambda count=count: feeder.producer.stats().published >= count, 15, "frames come")  # type: ignore[misc]
            queue = pool_queue(broker_url, stream)
            assert queue is not None
            assert queue.ready <= 1, "older ones are dropped at the broker"
        assert [len(worker.seen) for worker in workers] == held
        for worker in workers:
            worker.busy(False)
        wait_all_work(workers)
        assert faults(workers) == []


@EVERY_KIND
def test_with_its_last_member_a_pool_ends(broker_url: str, stream: str, codec: str) -> None:
    with Blocks(broker_url, stream, codec=codec) as feeder:
        out = feeder.producer
        with Worker(broker_url, stream) as worker:
            wait_all_work([worker])
        wait_until(lambda: not out.watched, 10, "the producer is idle")
        wait_until(lambda: pool_queue(broker_url, stream) is None, 20, "its queue is gone")

        def only_dropped() -> bool:
            before = out.stats()
            wait_until(lambda: out.stats().unwatched >= before.unwatched + 10, 10, "pictures are dropped")
            after = out.stats()
            return (after.published, after.intra) == (before.published, before.intra)

        wait_until(only_dropped, 10, "nothing is published")
        with Worker(broker_url, stream) as worker:
            wait_all_work([worker])


def test_a_worker_that_dies_or_stands_still_costs_no_more_than_its_frame(
    broker_url: str, stream: str, tmp_path: Path
) -> None:
    parts = urlsplit(broker_url)
    trace = tmp_path / "trace.csv"

    def presented() -> list[tuple[int, int]]:
        """(seq, capture_ns) of each frame of the worker that stands still for a while."""
        whole = [row for row in trace.read_text().splitlines(keepends=True)[1:] if row.endswith("\n")]
        rows = [row.rstrip().split(",") for row in whole]
        return [(int(row[0]), int(row[1])) for row in rows if row[4] == "presented"]

    pool = ("--stream", stream, "--pool", "workers", "--sink")
    with (
        TcpProxy(str(parts.hostname), parts.port or 5672) as proxy,
        Blocks(broker_url, stream, codec="h264"),
        running("consumer", "--url", broker_url, *pool, "null", "--work", "1h") as dies,
        running("consumer", "--url", proxy.url_through(broker_url), *pool, f"trace:{trace}") as stops,
        Worker(broker_url, stream) as worker,
    ):
        wait_members(broker_url, stream, 3)
        wait_until(lambda: trace.exists() and presented(), 15, "it works")
        stops.signal(signal.SIGSTOP)
        dies.signal(signal.SIGKILL)
        wait_members(broker_url, stream, 2)
        worker.wait_flow()
        proxy.cut()  # as missing heartbeats do, when it stands still for longer
        wait_members(broker_url, stream, 1)
        worker.wait_flow()
        went_on_ns = wall_ns()
        stops.signal(signal.SIGCONT)
        wait_until(lambda: presented()[-1][1] > went_on_ns, 15, "it works again")
        assert faults([worker]) == []
        assert all(one < after for one, after in itertools.pairwise(presented()))


def test_a_new_producer_may_have_another_codec(broker_url: str, stream: str) -> None:
    with Worker(broker_url, stream) as worker:
        for codec in ("jpeg", "h264", "png"):
            with Blocks(broker_url, stream, codec=codec) as feeder:
                epoch = feeder.producer.epoch
                wait_until(
                    lambda epoch=epoch: sum(seen.epoch == epoch for seen in list(worker.seen)) >= 5,  # type: ignore[misc]
                    15,
                    f"frames of {codec} come",
                )
        assert worker.codecs == {Codec.JPEG, Codec.PNG}
        assert faults([worker]) == []
        assert worker.consumer.stats().reconnects == 0


def test_every_member_learns_that_the_stream_has_ended(broker_url: str, stream: str) -> None:
    with (
        Worker(broker_url, stream, until_end=True) as one,
        Worker(broker_url, stream, until_end=True) as busy,
    ):
        with Blocks(broker_url, stream, codec="h264"):
            wait_all_work([one, busy])
            busy.busy(True)
            wait_until(lambda: busy.has_frame, 15, "it is busy")
        wait_until(lambda: one.ended, 15, "the iteration of one ends")
        assert not busy.ended
        busy.busy(False)
        wait_until(lambda: busy.ended, 15, "so does that of the one that was busy")
        assert faults([one, busy]) == []


def test_what_an_operator_deletes_is_declared_again(broker_url: str, stream: str) -> None:
    with Blocks(broker_url, stream, codec="h264"), Worker(broker_url, stream) as worker:
        wait_all_work([worker])
        with channel_of(broker_url) as channel:
            channel.queue_delete(topology.pool_queue(stream, "workers"))
        wait_all_work([worker], 10)
        with channel_of(broker_url) as channel:
            channel.exchange_delete(topology.intra_exchange(stream))
        # More than those that were on their way.
        wait_all_work([worker], 10)
        assert faults([worker]) == []


def test_a_member_that_finds_a_frame_before_it_is_set_up_goes_on(broker_url: str, stream: str) -> None:
    queue, arguments = topology.pool_queue(stream, "workers"), topology.pool_arguments(MAX_AGE_S)
    with channel_of(broker_url) as channel, Blocks(broker_url, stream, codec="jpeg") as feeder:
        with Worker(broker_url, stream, "another") as warm_up:  # loads the decoder
            wait_all_work([warm_up])
        channel.queue_declare(queue, durable=True, auto_delete=True, arguments=arguments)
        channel.queue_bind(queue, topology.exchange(stream))
        published = feeder.producer.stats().published + 3
        wait_until(lambda: feeder.producer.stats().published >= published, 10, "a frame waits")
        with Worker(broker_url, stream) as worker:
            wait_all_work([worker])


def test_members_with_another_age_limit_are_refused(broker_url: str, stream: str) -> None:
    with Worker(broker_url, stream) as worker, Blocks(broker_url, stream, codec="jpeg"):
        wait_all_work([worker])
        with (
            Consumer(stream, pool="workers", max_age_s=0.3, url=broker_url) as other,
            pytest.raises(BrokerRefused, match=r"'workers' of stream .* another x-message-ttl .*--max-age"),
        ):
            other.read(scaled(10))
        wait_all_work([worker])


def test_frames_of_others_are_refused_one_after_the_other(broker_url: str, stream: str) -> None:
    with (
        Blocks(broker_url, stream, codec="jpeg"),
        Consumer(stream, pool="workers", trust=("somebody",), url=broker_url) as consumer,
    ):
        assert consumer.read(0.01) is None
        wait_until(lambda: consumer.stats().malformed >= 5, 10, "none of them keeps the next from coming")
        assert consumer.stats().received == 0


def test_roles_may_do_what_a_pool_needs(broker_url: str, stream: str) -> None:
    producer, detector = as_user(broker_url, "producer"), as_user(broker_url, "detector")
    with Blocks(producer, stream, codec="h264"), Worker(detector, stream) as worker:
        wait_all_work([worker])
    with Blocks(producer, stream, codec="jpeg"), Worker(detector, stream) as worker:
        wait_all_work([worker])


@pytest.mark.brokerless
def test_a_producer_that_may_have_no_branch_publishes_its_stream(
    settled_node: PrivateNode, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    settled_node.ctl("add_user", stream, "secret")
    allowed = r"^fanlight\.(control\..*|[\w-]+)$"
    settled_node.ctl("set_permissions", "-p", VHOST, stream, allowed, allowed + "|^amq.default$", allowed)
    url = settled_node.url.replace("fanlight:fanlight@", f"{stream}:secret@")
    with (
        Blocks(url, stream, codec="h264") as feeder,
        Watcher(Consumer(stream, url=settled_node.url), is_right) as watcher,
        Worker(settled_node.url, stream) as worker,
    ):
        watcher.wait_flow()
        wait_until(lambda: "no pool of workers can take this stream" in caplog.text, 10, "it says so")
        wait_until(lambda: "publishes no pictures that stand alone" in caplog.text, 10, "so does a worker")
        watcher.wait_flow()
        assert worker.seen == []
        assert feeder.producer.stats().reconnects == 0
