"""fanlight.aio: programs with an event loop, cancelled at any point, closed at any time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest

from fanlight import BrokerRefused, ConfigError, Frame, StreamEnded, aio
from fanlight.consumer.stats import Outcome
from tests.integration.test_pipeline import on_air
from tests.support.broker import tcp_url, with_broker_and
from tests.support.hubs import hub
from tests.support.marked_stream import Marking, is_marked
from tests.support.timing import scaled, until, wait_until
from tests.unit.common.codec.build import psnr

IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Whatever a test does, no thread of a consumer or producer is left."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    # Closing has a time limit, which a busy machine may exceed.
    wait_until(lambda: not set(threading.enumerate()) - before, 10, "no thread is left")


def run(main: Callable[[], Awaitable[None]], timeout_s: float = 30) -> None:
    """Run a program: nothing may be said to the loop's exception handler, and no task be left."""
    said: list[dict[str, object]] = []

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        async with asyncio.timeout(scaled(timeout_s)):
            await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(program())
    gc.collect()  # "Task was destroyed but it is pending" is said then
    assert not said


async def next_frame(consumer: aio.Consumer) -> Frame:
    frame = await consumer.read(timeout_s=scaled(15))
    assert frame is not None
    return frame


@with_broker_and("multiplex")
@pytest.mark.parametrize("codec", ["h264"])
def test_frames_come_fresh_and_in_order_and_a_loop_may_be_left_and_begun_again(
    stream: str, url: str, codec: str
) -> None:
    seqs: list[int] = []

    async def main() -> None:
        async with aio.Consumer(stream, url=url, via="broker") as consumer:
            for _ in range(3):
                async for frame in consumer:
                    assert psnr(frame.image, camera.sent[frame.capture_ns]) >= 28
                    assert frame.age_s <= 0.5
                    seqs.append(frame.seq)
                    if len(seqs) % 5 == 0:
                        break
            assert consumer.stats().presented == len(seqs)

    with on_air(stream, url, codec) as (_, camera):
        run(main)
    assert len(seqs) == 15
    assert seqs == sorted(set(seqs))


def test_one_whose_loop_is_left_and_that_nobody_keeps_ends(stream: str) -> None:
    url = tcp_url("multiplex")

    async def main() -> None:
        async for _ in aio.Consumer(stream, url=url, via="broker"):
            break
        gc.collect()
        await until(lambda: f"read {stream}" not in {thread.name for thread in threading.enumerate()})

    with on_air(stream, url):
        run(main)


class Reader:
    """A task that reads until it is cancelled, and keeps what it got."""

    def __init__(self, consumer: aio.Consumer, kept: list[int]) -> None:
        self._consumer = consumer
        self._kept = kept
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            frame = await self._consumer.read(timeout_s=random.choice([None, 0, 0.01, 1]))
            if frame is not None:
                assert is_marked(frame)
                self._kept.append(frame.seq)


@pytest.mark.parametrize(
    ("url", "playout"), [("broker", "latest"), ("multiplex", "sync")], indirect=["url"]
)
def test_tasks_that_are_cancelled_at_any_point_take_no_frame_with_them(
    stream: str, url: str, playout: str
) -> None:
    kept: list[int] = []
    random.seed(1)

    async def main() -> None:
        async with aio.Consumer(stream, url=url, via="broker", playout=playout) as consumer:
            readers = [Reader(consumer, kept) for _ in range(4)]
            for _ in range(150):
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(random.choice([0, 0, 0.001, 0.01]))
                reader = readers.pop(random.randrange(len(readers)))
                assert not reader.task.done(), reader.task
                reader.task.cancel()
                if random.random() < 0.5:
                    await asyncio.wait([reader.task])
                readers.append(Reader(consumer, kept))
            before = len(kept)
            await until(lambda: len(kept) >= before + 5)  # it goes on
            for reader in readers:
                reader.task.cancel()
            await asyncio.wait([reader.task for reader in readers])
        stats = consumer.stats()
        assert stats.presented == len(kept)
        # The others waited when it was closed.
        assert stats.received >= stats.presented + sum(getattr(stats, drop) for drop in list(Outcome)[1:])

    with Marking(url, stream, fps=60):
        run(main)
    assert kept == sorted(set(kept))


@pytest.mark.parametrize("seed", range(3))
def test_a_program_that_is_cancelled_at_any_point_leaves_nothing(stream: str, seed: int) -> None:
    """Start, loop, send and close, also when they are cancelled a second time; see `nothing_left`."""
    url = tcp_url("multiplex")
    chance = random.Random(seed)

    async def relay(source: str) -> None:
        async with (
            aio.Consumer(source, url=url, via="broker") as consumer,
            aio.Producer(stream=f"{source}-2", url=tcp_url("multiplex")) as out,
        ):
            async for frame in consumer:
                await out.send(frame.image, capture_ns=frame.capture_ns)

    async def main() -> None:
        for _ in range(6):
            task = asyncio.create_task(relay(stream))
            for _ in range(chance.randrange(1, 4)):
                for _ in range(chance.randrange(8)):
                    await asyncio.sleep(chance.choice([0, 0, 0.002, 0.03]))
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with Marking(url, stream, fps=60):
        run(main)


def test_several_tasks_share_the_frames_and_all_end_when_it_is_closed(stream: str, broker_url: str) -> None:
    frames: dict[int, list[int]] = {number: [] for number in range(5)}

    async def read_all(consumer: aio.Consumer, number: int) -> None:
        async for frame in consumer:
            frames[number].append(frame.seq)

    async def main() -> None:
        consumer = aio.Consumer(stream, url=broker_url, via="broker")
        tasks = [asyncio.create_task(read_all(consumer, number)) for number in frames]
        await until(lambda: all(len(each) >= 3 for each in frames.values()))
        await consumer.close()
        await asyncio.gather(*tasks)
        everything = [seq for each in frames.values() for seq in each]
        assert max(Counter(everything).values()) == 1
        assert consumer.stats().presented == len(everything)
        with pytest.raises(StreamEnded):
            await consumer.read()
        with pytest.raises(StreamEnded):
            aiter(consumer)
        await consumer.close()

    with Marking(broker_url, stream):
        run(main)


def test_a_loop_that_was_busy_gets_a_fresh_frame(stream: str) -> None:
    url = tcp_url("multiplex")

    async def main() -> None:
        async with aio.Consumer(stream, url=url, via="broker") as consumer:
            last = await next_frame(consumer)
            reading = asyncio.create_task(consumer.read())
            await asyncio.sleep(0)
            held = consumer._consumer._several._threads[stream].input

            def newer() -> bool:
                newest = held.newest
                return newest is not None and newest.frame.seq >= last.seq + 10

            wait_until(newer, 20, "newer frames, while the loop stands still")
            frame = await reading
            assert frame is not None
            assert frame.seq >= last.seq + 10
            assert frame.age_s <= 0.5

    with Marking(url, stream):
        run(main)


def test_a_call_of_a_loop_that_was_closed_does_not_hold_up_others(stream: str) -> None:
    url = tcp_url("multiplex")
    consumer = aio.Consumer(stream, url=url, via="broker")
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        waiting.append(asyncio.ensure_future(consumer.read()))
        await asyncio.sleep(0)

    waiting: list[asyncio.Future[Frame | None]] = []
    loop.run_until_complete(begin())
    loop.close()

    async def main() -> None:
        for _ in range(5):
            await next_frame(consumer)
        await consumer.close()

    with Marking(url, stream):
        run(main)
    waiting[0]._log_destroy_pending = False  # type: ignore[attr-defined]
    waiting.clear()


def test_errors_are_raised_where_a_task_reads(stream: str, broker_url: str) -> None:
    async def main() -> None:
        unknown = broker_url.replace("fanlight:fanlight@", "nobody:nothing@")
        async with aio.Consumer(stream, url=unknown) as refused:
            with pytest.raises(BrokerRefused):
                await refused.read()
            with pytest.raises(BrokerRefused):
                async for _ in refused:
                    pass
        async with aio.Producer(stream=stream, url=unknown) as out:
            await until(lambda: out.failure is not None)
            with pytest.raises(BrokerRefused):
                await out.send(IMAGE)
        async with aio.Consumer(stream, url=broker_url) as consumer:
            with pytest.raises(ConfigError, match="timeout_s"):
                await consumer.read(timeout_s=-1)
            assert await consumer.read(timeout_s=0) is None

    run(main)


def test_newest_frames_of_several_streams_and_pairs_of_them(stream: str, broker_url: str) -> None:
    names = [f"{stream}-a", f"{stream}-b"]

    async def main() -> None:
        seen: Counter[str] = Counter()
        async with aio.Consumer(streams=names, url=broker_url, via="broker") as consumer:
            async for frame in consumer:
                assert is_marked(frame)
                seen[frame.stream] += 1
                if min(seen[name] for name in names) >= 5:
                    break
            assert consumer.streams == tuple(names)
            assert [consumer.stats(name).presented for name in names] == [seen[name] for name in names]
            async for left, right in aio.pairs(consumer, tolerance="500ms"):
                assert [left.stream, right.stream] == names
                break

    with Marking(broker_url, names[0]), Marking(broker_url, names[1]):
        run(main)


def test_workers_of_a_pool_are_tasks_each_with_frames_of_its_own(stream: str, broker_url: str) -> None:
    """A frame that a worker has taken is not superseded: nobody else gets it."""
    seqs: dict[int, list[int]] = {number: [] for number in range(3)}

    async def work(number: int) -> None:
        async with aio.Consumer(stream, f"w{number}", pool="p", url=broker_url) as worker:
            while min(map(len, seqs.values())) < 5:
                # Some reads end without a frame, and leave it for the next one.
                frame = await worker.read(timeout_s=random.choice([0, 0.005, 1]))
                if frame is not None:
                    seqs[number].append(frame.seq)
            stats = worker.stats()
            assert (stats.presented, stats.superseded) == (len(seqs[number]), 0)

    async def main() -> None:
        await asyncio.gather(*map(work, seqs))

    with Marking(broker_url, stream):
        run(main)
    everything = [seq for each in seqs.values() for seq in each]
    assert max(Counter(everything).values()) == 1


def test_it_reads_from_a_hub(stream: str, broker_url: str) -> None:
    async def main() -> None:
        async with aio.Consumer(stream, url=broker_url) as consumer:
            while not consumer.stats().shared:
                assert is_marked(await next_frame(consumer))
            for _ in range(10):
                assert is_marked(await next_frame(consumer))

    with Marking(broker_url, stream), hub(broker_url, stream):
        run(main)


def test_a_send_that_is_cancelled_has_not_sent(stream: str) -> None:
    async def main() -> None:
        sent = 0
        chance = random.Random(1)
        async with aio.Producer(stream=stream, url=tcp_url("multiplex")) as out:
            for _ in range(300):
                task = asyncio.create_task(out.send(IMAGE))
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                    sent += 1
            assert 0 < sent < 300
            assert out.stats().captured == sent

    run(main)
