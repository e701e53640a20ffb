"""What the table in docs/programs.md says of `fanlight.aio` and of `pairs`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

import fanlight
from fanlight import Frame, StreamEnded, aio
from tests.integration.test_programs_threads import join, one_signal, started
from tests.support.broker import tcp_url
from tests.support.marked_stream import Marking
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage

IMAGE = np.zeros((48, 64, 3), np.uint8)
TASKS = 3
brokerless = pytest.mark.brokerless


async def read(consumer: aio.Consumer, count: int) -> list[Frame]:
    frames: list[Frame] = []
    async with asyncio.timeout(scaled(20)):
        while len(frames) < count:
            frame = await consumer.read()
            assert frame is not None
            frames.append(frame)
    return frames


@contextmanager
def consumed(stream: str, *, until_end: bool = False) -> Iterator[tuple[aio.Consumer, Marking]]:
    """A consumer, to be closed by the test, of a stream without a broker."""
    url = tcp_url("multiplex")
    with Marking(url, stream) as producer:
        yield aio.Consumer(stream, url=url, via="broker", until_end=until_end), producer


@brokerless
@usage("aio.Consumer", "threads", "each with an event loop of its own")
def test_event_loops_of_several_threads_read(stream: str) -> None:
    with consumed(stream) as (consumer, _):
        seqs: list[int] = []

        def work() -> None:
            seqs.extend(frame.seq for frame in asyncio.run(read(consumer, 5)))

        join(started([work] * TASKS))
        asyncio.run(consumer.close())
    assert len(set(seqs)) == len(seqs) == 5 * TASKS


@brokerless
@usage("aio.Consumer", "asyncio", "each frame goes to one of the tasks")
def test_each_frame_goes_to_one_of_the_tasks_that_read(stream: str) -> None:
    async def work(consumer: aio.Consumer) -> list[int]:
        async with consumer:
            read_by = await asyncio.gather(*(read(consumer, 5) for _ in range(TASKS)))
        return [frame.seq for frames in read_by for frame in frames]

    with consumed(stream) as (consumer, _):
        seqs = asyncio.run(work(consumer))
    assert len(set(seqs)) == len(seqs) == 5 * TASKS


@brokerless
@usage("aio.Consumer", "signal", "`close`, by `loop.add_signal_handler`")
@usage("aio.Producer", "signal", "`close`, by `loop.add_signal_handler`")
def test_a_handler_of_the_event_loop_closes_both(stream: str) -> None:
    async def work() -> None:
        url = tcp_url("multiplex")
        out, consumer = aio.Producer(stream=stream, url=url), aio.Consumer(stream, url=url, via="broker")
        closing: list[asyncio.Task[None]] = []

        def close() -> None:
            closing.extend(asyncio.create_task(each.close()) for each in (out, consumer))

        async def send() -> None:
            while True:
                await out.send(IMAGE)
                await asyncio.sleep(0.01)

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, close)
        sending = asyncio.create_task(send())
        async for _ in consumer:
            os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(StreamEnded):
            await sending
        await asyncio.gather(*closing)

    asyncio.run(work())


@brokerless
@usage("aio.Consumer", "break", "goes on: iterate it again, or `close`")
@usage("aio.Consumer", "end", "`StreamEnded`; the loop ends")
def test_a_loop_that_was_left_goes_on_until_the_end(stream: str) -> None:
    async def work(consumer: aio.Consumer, end: Callable[[], object]) -> list[int]:
        seqs: list[int] = []
        for _ in range(3):
            async for frame in consumer:
                seqs.append(frame.seq)
                break
        await asyncio.to_thread(end)
        seqs += [frame.seq async for frame in consumer]
        with pytest.raises(StreamEnded, match=f"stream {stream} has ended"):
            await consumer.read()
        await consumer.close()
        assert consumer.stats().presented == len(seqs)
        return seqs

    with ExitStack() as until_then:
        consumer, _ = until_then.enter_context(consumed(stream, until_end=True))
        seqs = asyncio.run(work(consumer, until_then.close))
    assert seqs == sorted(set(seqs))


@brokerless
@usage("aio.Producer", "threads", "each with an event loop of its own")
@usage("aio.Producer", "asyncio", "any task may `send`")
@usage("aio.Producer", "end", "`StreamEnded`, but `close`, `stats`")
def test_tasks_of_several_event_loops_send(stream: str) -> None:
    url, levels = tcp_url("multiplex"), range(10, 10 + 2 * TASKS)
    out = aio.Producer(stream=stream, url=url, codec="raw")

    async def send(level: int) -> None:
        while not ending.is_set():
            await out.send(np.full((48, 64, 3), level, np.uint8))
            await asyncio.sleep(0.01)

    async def two(level: int) -> None:
        await asyncio.gather(send(level), send(level + 1))

    ending, seen = threading.Event(), set[int]()
    senders = started([lambda level=level: asyncio.run(two(level)) for level in levels[::2]])  # type: ignore[misc]
    with fanlight.Consumer(stream, url=url, via="broker") as consumer:
        while seen != set(levels):
            frame = consumer.read(timeout_s=scaled(20))
            assert frame is not None
            seen.add(int(frame.image[0, 0, 0]))
    ending.set()
    join(senders)
    asyncio.run(out.close())
    with pytest.raises(StreamEnded):
        asyncio.run(out.send(IMAGE))
    assert out.stats().captured
    asyncio.run(out.close())


@brokerless
@usage("aio.Producer", "break", "without `close`: ends by itself")
def test_an_asynchronous_producer_that_nobody_keeps_ends() -> None:
    before = threading.active_count()
    out = aio.Producer(url=tcp_url("multiplex"))
    asyncio.run(out.send(IMAGE))
    gone = weakref.ref(out)
    del out
    gc.collect()
    assert gone() is None
    wait_until(lambda: threading.active_count() <= before, 20, "its threads have ended")


# Pairs -------------------------------------------------------------------------------------------------


@contextmanager
def paired(url: str, stream: str) -> Iterator[tuple[list[str], ExitStack]]:
    """Two streams, which the stack ends."""
    names = [f"{stream}-left", f"{stream}-right"]
    with ExitStack() as producers:
        for name in names:
            producers.enter_context(Marking(url, name))
        yield names, producers


def seqs_of(pair: tuple[Frame, ...]) -> tuple[int, ...]:
    return tuple(frame.seq for frame in pair)


@usage("pairs", "threads", "one after the other")
@usage("pairs", "break", "goes on: iterate it again")
@usage("pairs", "end", "the loop ends")
def test_pairs_go_on_in_another_thread_until_a_stream_ends(broker_url: str, stream: str) -> None:
    with (
        paired(broker_url, stream) as (names, producers),
        fanlight.Consumer(streams=names, url=broker_url, until_end=True) as consumer,
    ):
        pairs = fanlight.pairs(consumer, "100ms")
        found = [seqs_of(next(pairs))]
        for pair in pairs:
            found.append(seqs_of(pair))
            break
        join(started([lambda: found.append(seqs_of(next(pairs)))]))
        producers.close()
        found += map(seqs_of, pairs)
    assert found == sorted(found)
    assert all(len(set(each)) == len(each) for each in zip(*found, strict=True))


@usage("pairs", "asyncio", "`aio.pairs`")
def test_pairs_in_a_coroutine(broker_url: str, stream: str) -> None:
    async def work(names: list[str]) -> tuple[Frame, ...]:
        async with aio.Consumer(streams=names, url=broker_url) as consumer, asyncio.timeout(scaled(20)):
            return await anext(aio.pairs(consumer, "100ms"))

    with paired(broker_url, stream) as (names, _):
        pair = asyncio.run(work(names))
    assert [frame.stream for frame in pair] == names


@usage("pairs", "signal", "`close` of the consumer ends the loop")
def test_a_signal_handler_ends_pairs_by_closing_their_consumer(broker_url: str, stream: str) -> None:
    with paired(broker_url, stream) as (names, _):
        for seed in range(3):
            consumer = fanlight.Consumer(streams=names, url=broker_url).start()
            pairs = fanlight.pairs(consumer, "100ms")
            next(pairs)
            with one_signal(consumer.close, seed):
                for _ in pairs:
                    pass
