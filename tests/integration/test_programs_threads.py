"""Programs with several threads, and with signal handlers that raise."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import numpy as np
import pytest

from fanlight import Consumer, Frame, Producer, StreamEnded
from tests.integration.test_pipeline import on_air, read
from tests.support.broker import tcp_url, with_broker_and
from tests.support.hubs import files_of, hub
from tests.support.marked_stream import Marking, is_marked
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage
from tests.unit.common.codec.build import psnr

READERS = 6


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(scaled(20))
    assert not any(thread.is_alive() for thread in threads)


def started(works: list[Callable[[], object]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


@usage("Consumer", "threads", "each frame goes to one of them")
@with_broker_and("multiplex")
def test_each_frame_goes_to_one_of_the_threads_that_read(stream: str, url: str) -> None:
    frames: dict[int, list[Frame]] = {number: [] for number in range(READERS)}
    ended: list[int] = []
    with on_air(stream, url) as (_, camera), Consumer(stream, url=url, via="broker") as consumer:

        def read_all(number: int) -> None:
            try:
                while True:
                    frame = consumer.read()
                    assert frame is not None
                    frames[number].append(frame)
                    consumer.stats()
            except StreamEnded:
                ended.append(number)

        readers = started([partial(read_all, number) for number in range(READERS)])
        wait_until(lambda: all(len(each) >= 3 for each in frames.values()), 20, "each gets frames")
        consumer.close()
        join(readers)
        everything = [frame for each in frames.values() for frame in each]
        assert sorted(ended) == list(range(READERS))
        assert max(Counter(frame.seq for frame in everything).values()) == 1
        assert all(psnr(frame.image, camera.sent[frame.capture_ns]) >= 28 for frame in everything)
        stats = consumer.stats()
        assert (stats.undecodable, stats.presented) == (0, len(everything))


@usage("Producer", "threads", "any of them may `send`")
@with_broker_and("multiplex")
def test_several_threads_send(stream: str, url: str) -> None:
    ending = threading.Event()
    with (
        Producer(stream=stream, url=url, codec="png") as out,
        Consumer(stream, url=url, via="broker") as consumer,
    ):

        def send(level: int) -> None:
            while not ending.wait(0.005):
                out.send(np.full((48, 64, 3), level, np.uint8))
                out.stats()

        senders = started([partial(send, level) for level in range(READERS)])
        frames = read(consumer, 60)
        ending.set()
        join(senders)
    assert all(np.all(frame.image == frame.image[0, 0, 0]) for frame in frames)
    assert [frame.seq for frame in frames] == sorted(frame.seq for frame in frames)
    captures = [frame.capture_ns for frame in frames]
    assert captures == sorted(captures)


def test_threads_that_send_are_told_that_another_one_has_closed() -> None:
    out = Producer(url=tcp_url("multiplex")).start()
    told: list[str] = []

    def send() -> None:
        try:
            while True:
                out.send(np.zeros((48, 64, 3), np.uint8))
        except StreamEnded as error:
            told.append(str(error))

    senders = started([send] * READERS)
    out.close()
    join(senders)
    assert len(told) == READERS


class OwnError(Exception):
    """What the handler of a program raises."""


@contextmanager
def one_signal(handle: Callable[[], object], seed: int) -> Iterator[None]:
    """A signal to the main thread within 30 ms, whose handler calls `handle`."""
    ending = threading.Event()

    def handler(_number: int, _frame: FrameType | None) -> None:
        if not ending.is_set():
            ending.set()
            handle()

    def send() -> None:
        if not ending.wait(random.Random(seed).uniform(0.0005, 0.03)):
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    threads = started([send])
    try:
        yield
    finally:
        ending.set()
        join(threads)
        signal.signal(signal.SIGUSR1, before)


def read_until_error(consumer: Consumer, after_first: Callable[[], object] = lambda: None) -> None:
    read(consumer, 1)
    after_first()
    while True:
        consumer.read()


def send_until_error(out: Producer) -> None:
    while True:
        out.send(np.zeros((480, 640, 3), np.uint8))


def raise_own() -> None:
    raise OwnError


def read_under_fire(consumer: Consumer, seed: int, raised: int, check: Callable[[Frame], object]) -> int:
    """Read until the handler has raised so often; how many frames came."""
    count = frames = 0
    deadline_s = time.monotonic() + scaled(90)
    while count < raised:
        try:
            with one_signal(raise_own, seed + count):
                while time.monotonic() < deadline_s:
                    frame = consumer.read(timeout_s=0.05)
                    if frame is not None:
                        frames += 1
                        check(frame)
        except OwnError:
            count += 1
        assert time.monotonic() < deadline_s
    return frames


@with_broker_and("multiplex")
@pytest.mark.parametrize("playout", ["latest", "sync"])
def test_what_a_signal_handler_raises_passes_through_read(stream: str, url: str, playout: str) -> None:
    with (
        on_air(stream, url, fps=60) as (_, camera),
        Consumer(stream, url=url, via="broker", playout=playout, delay_s=0.1) as consumer,
    ):
        last = -1

        def check(frame: Frame) -> None:
            nonlocal last
            assert frame.seq > last
            last = frame.seq
            assert (
                psnr(frame.image, camera.sent[frame.capture_ns]) >= 28
            )  # the clip's worst keyframe has 29.8

        read(consumer, 3)
        read_under_fire(consumer, 1, 150, check)
        for frame in read(consumer, 20):
            check(frame)
        assert consumer.stats().undecodable == 0


def test_it_passes_through_while_frames_come_from_a_hub(stream: str, broker_url: str) -> None:
    with (
        Marking(broker_url, stream),
        hub(broker_url, stream),
        Consumer(stream, url=broker_url) as consumer,
    ):
        wait_until(lambda: read(consumer, 1) and consumer.stats().shared, 15, "frames from the hub")
        read_under_fire(consumer, 1, 100, lambda frame: is_marked(frame) or pytest.fail("torn"))
        # On a busy machine the stream itself may be used in between.
        wait_until(lambda: read(consumer, 20) and consumer.stats().shared, 20, "frames from the hub again")


def test_it_passes_through_send() -> None:
    raised = 0
    with Producer(url=tcp_url("multiplex")) as out:
        while raised < 50:
            try:
                with one_signal(raise_own, raised):
                    while True:
                        out.send(np.zeros((480, 640, 3), np.uint8))
            except OwnError:
                raised += 1
        before = out.stats().captured
        out.send(np.zeros((480, 640, 3), np.uint8))
        assert out.stats().captured == before + 1


@with_broker_and("multiplex")
def test_ctrl_c_passes_through_and_closes_in_order(stream: str, url: str) -> None:
    with on_air(stream, url):
        consumer = Consumer(stream, url=url, via="broker")
        ending = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt), consumer:
            read_until_error(consumer, ending.start)
        with pytest.raises(StreamEnded):
            consumer.read()


@usage("Consumer", "signal", "`close`, `stats`; not `read`")
@with_broker_and("multiplex")
@pytest.mark.parametrize("share", [False, True])
def test_a_signal_handler_may_close_and_ask_for_statistics(stream: str, url: str, share: bool) -> None:
    with on_air(stream, url):
        for seed in range(10):
            consumer = Consumer(stream, url=url, via="broker", share=share).start()
            read(consumer, 1)

            def handle(consumer: Consumer = consumer) -> None:
                consumer.stats()
                consumer.close()

            with one_signal(handle, seed), pytest.raises(StreamEnded):
                read_until_error(consumer)
            assert not files_of(stream)


@usage("Producer", "signal", "`send`, `stats`, `close`")
def test_a_signal_handler_may_send_and_close() -> None:
    for seed in range(10):
        out = Producer(url=tcp_url("multiplex")).start()

        def handle(out: Producer = out) -> None:
            out.send(np.zeros((480, 640, 3), np.uint8))
            assert out.stats().captured
            out.close()

        with one_signal(handle, seed), pytest.raises(StreamEnded):
            send_until_error(out)


def test_a_signal_handler_may_not_read_what_it_interrupted() -> None:
    with Consumer(url=tcp_url("multiplex")) as consumer:
        told: list[str] = []

        def handle() -> None:
            try:
                consumer.read(timeout_s=0)
            except Exception as error:  # noqa: BLE001 - the test compares it
                told.append(str(error))

        with one_signal(handle, 1):
            wait_until(lambda: consumer.read(timeout_s=0.05) or told, 20, "the handler is told")
        assert "signal handler" in told[0]
        assert consumer.read(timeout_s=0) is None
