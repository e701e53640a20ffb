"""What the table in docs/programs.md says of event loops, forks, signals, and loops that are left."""

from __future__ import annotations

import asyncio
import os
import threading

import numpy as np
import pytest

from fanlight import Consumer, Frame, Producer
from tests.integration.test_pipeline import read
from tests.integration.test_programs_threads import one_signal
from tests.support.broker import tcp_url
from tests.support.marked_stream import Marking, is_marked
from tests.support.timing import scaled
from tests.support.usage import usage

pytestmark = pytest.mark.brokerless


@usage("Consumer", "asyncio", "`aio.Consumer`; or `read` by `to_thread`")
@usage("Frame", "asyncio", "as anywhere")
def test_a_coroutine_reads_by_a_thread(stream: str) -> None:
    url = tcp_url("multiplex")

    async def frames() -> list[Frame]:
        with Consumer(stream, url=url, via="broker") as consumer:
            found = [await asyncio.to_thread(consumer.read, scaled(10)) for _ in range(5)]
        return [frame for frame in found if frame is not None]

    with Marking(url, stream):
        read_frames = asyncio.run(frames())
    assert len(read_frames) == 5
    assert all(map(is_marked, read_frames))


@usage("Producer", "asyncio", "`send` never waits; or `aio.Producer`")
def test_a_coroutine_sends(stream: str) -> None:
    async def send(out: Producer, arrived: asyncio.Event) -> None:
        while not arrived.is_set():
            out.send(np.full((48, 64, 3), 7, np.uint8))
            await asyncio.sleep(0.01)

    async def work() -> Frame | None:
        arrived, url = asyncio.Event(), tcp_url("multiplex")
        with (
            Producer(stream=stream, url=url, codec="raw") as out,
            Consumer(stream, url=url, via="broker") as consumer,
        ):
            sending = asyncio.create_task(send(out, arrived))
            frame = await asyncio.to_thread(consumer.read, scaled(10))
            arrived.set()
            await sending
        return frame

    frame = asyncio.run(work())
    assert frame is not None
    assert (frame.image == 7).all()


@usage("Consumer", "break", "goes on: iterate it again, or `close`")
@usage("Frame", "break", "keeps its pixels")
@usage("Frame", "end", "keeps its pixels")
def test_a_loop_that_was_left_goes_on_and_its_frames_stay(stream: str) -> None:
    url, kept = tcp_url("multiplex"), []
    with Marking(url, stream):
        consumer = Consumer(stream, url=url, via="broker")
        for _ in range(3):
            for frame in consumer:
                kept.append(frame)
                break
        kept += read(consumer, 1)
        consumer.close()
    assert [frame.seq for frame in kept] == sorted({frame.seq for frame in kept})
    assert all(map(is_marked, kept))


@usage("Frame", "fork", "as in its parent")
def test_a_child_reads_the_pixels_of_its_parents_frames(stream: str) -> None:
    url = tcp_url("multiplex")
    with Marking(url, stream), Consumer(stream, url=url, via="broker") as consumer:
        (frame,) = read(consumer, 1)
        child = os.fork()
        if child == 0:
            os._exit(0 if is_marked(frame) and is_marked(frame.copy()) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        read(consumer, 3)


@usage("Frame", "signal", "as anywhere")
def test_a_signal_handler_looks_at_the_frame_that_the_program_is_copying(stream: str) -> None:
    url, seen = tcp_url("multiplex"), threading.Event()
    with Marking(url, stream), Consumer(stream, url=url, via="broker") as consumer:
        (frame,) = read(consumer, 1)

    def handle() -> None:
        if is_marked(frame.copy()):
            seen.set()

    with one_signal(handle, 1):
        while not seen.is_set():
            assert is_marked(frame.copy())
