"""`fanlight.VideoCapture`, one call after the other."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from copy import copy
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest

from fanlight import ConfigError, FanlightError, Producer, StreamEnded, VideoCapture, WrongProcess
from fanlight.consumer.video_capture import Property
from tests.integration.test_programs_fork import told_in_child
from tests.integration.test_programs_threads import one_signal
from tests.integration.test_video_capture import WIDTH, moving
from tests.support.broker import tcp_url
from tests.support.examples import Showing
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage

pytestmark = pytest.mark.brokerless

# No frame may be too old here, however slow the machine is.
PATIENT_S = 5.0


def nothing(read: Any) -> bool:
    """Whether this is what OpenCV's programs take for the end."""
    return bool(read == (False, None))


# One call after the other -------------------------------------------------------------------------------


class Bench:
    """A producer, and a capture of its stream, which has received nothing yet."""

    def __init__(self, url: str, stream: str, **keywords: Any) -> None:
        self.url, self.stream, self._sent = url, stream, 0
        self.out = Producer(stream=stream, url=url, codec="raw", max_age_s=PATIENT_S).start()
        self.capture = VideoCapture(stream, url=url, via="broker", max_age_s=PATIENT_S, **keywords)
        wait_until(lambda: self.out.watched, 10, "somebody watches")

    def close(self) -> None:
        self.out.close()
        self.capture.release()

    def send(self, *numbers: int) -> None:
        """Send pictures that are so bright; each has arrived before the next one is sent."""
        for number in numbers:
            self._sent += 1
            self.out.send(np.full((48, 64, 3), number, np.uint8))
            wait_until(lambda: self._received() == self._sent, 10, "it has arrived")

    def _received(self) -> int:
        consumer = self.capture._consumer
        assert consumer is not None
        return consumer.stats().received

    def read(self) -> int | None:
        """How bright the next picture is, all over; None if there is none now."""
        self.capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, 0)
        found, image = self.capture.read()
        assert found is (image is not None)
        return int(np.unique(image).item()) if found else None


@pytest.fixture
def bench(stream: str) -> Iterator[Bench]:
    bench = Bench(tcp_url("multiplex"), stream)
    yield bench
    bench.close()


def test_a_slow_program_gets_the_newest_frame_and_each_once(bench: Bench) -> None:
    bench.send(0)
    assert bench.read() == 0
    bench.send(*range(1, 11))
    assert [bench.read(), bench.read()] == [10, None]
    assert bench.capture.isOpened(), "only the time was over"
    bench.send(11)
    assert bench.read() == 11


def test_the_frame_that_opened_it_is_read_unless_there_is_a_newer_one(bench: Bench) -> None:
    bench.send(0)
    assert bench.capture.isOpened()
    assert [bench.read(), bench.read()] == [0, None]
    bench.send(1)
    assert bench.read() == 1
    bench.capture.release()
    assert not bench.capture.isOpened()


def test_the_frame_that_was_grabbed_is_retrieved_as_often_as_one_likes(bench: Bench) -> None:
    assert nothing(bench.capture.retrieve())
    bench.send(7)
    assert bench.capture.grab()
    first, again = bench.capture.retrieve(), bench.capture.retrieve()
    assert first[0] is again[0] is True
    first[1][:] = 0
    assert np.array_equal(again[1], np.full((48, 64, 3), 7, np.uint8)), "each is the program's own"
    out = np.zeros((48, 64, 3), np.uint8)
    assert bench.capture.retrieve(out)[1] is out
    assert out.min() == 7
    other = np.zeros((8, 8, 3), np.uint8)
    assert bench.capture.retrieve(other)[1] is not other
    bench.capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, 0)
    assert not bench.capture.grab()
    assert nothing(bench.capture.retrieve())


def test_properties_are_those_of_opencv_by_its_numbers(bench: Bench) -> None:
    for each in Property:
        assert getattr(cv2, f"CAP_PROP_{each.name}") == each
    bench.send(3)
    get = bench.capture.get
    assert (get(cv2.CAP_PROP_FRAME_WIDTH), get(cv2.CAP_PROP_FRAME_HEIGHT)) == (64, 48)
    assert get(cv2.CAP_PROP_FPS) == 30
    assert int(get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") == b"BGR3"
    assert (get(cv2.CAP_PROP_POS_MSEC), get(cv2.CAP_PROP_POS_FRAMES)) == (0, 0)
    bench.read()
    bench.send(4)
    bench.read()
    assert get(cv2.CAP_PROP_POS_MSEC) > 0
    assert get(cv2.CAP_PROP_POS_FRAMES) == 2
    assert (get(cv2.CAP_PROP_CONVERT_RGB), get(cv2.CAP_PROP_BUFFERSIZE)) == (1, 1)
    assert (get(cv2.CAP_PROP_FRAME_COUNT), get(cv2.CAP_PROP_EXPOSURE), get(-1)) == (0, 0, 0)
    assert bench.capture.getBackendName() == "FANLIGHT"


def test_what_can_be_set_is_and_the_rest_is_refused(bench: Bench) -> None:
    change, get = bench.capture.set, bench.capture.get
    for timeout in (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC):
        assert get(timeout) == 30_000
        assert change(timeout, 250)
        assert get(timeout) == 250
        assert not change(timeout, -1)
    assert change(cv2.CAP_PROP_BUFFERSIZE, 1)
    assert not change(cv2.CAP_PROP_BUFFERSIZE, 30)
    for refused in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_POS_FRAMES):
        assert not change(refused, 10)
    assert not change(cv2.CAP_PROP_FRAME_WIDTH, 0)
    assert not change(cv2.CAP_PROP_FRAME_WIDTH, float("nan"))
    assert change(cv2.CAP_PROP_FRAME_WIDTH, 9_000)
    assert not change(cv2.CAP_PROP_FRAME_HEIGHT, 9_000), "more pixels than a picture may have"
    assert change(cv2.CAP_PROP_FRAME_HEIGHT, 48)


def test_a_width_and_a_height_scale_the_pictures(stream: str) -> None:
    url = tcp_url("multiplex")
    with Showing(url, stream, moving), VideoCapture(stream, url=url, via="broker") as capture:
        assert capture.set(cv2.CAP_PROP_FRAME_WIDTH, 80)
        assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == WIDTH, "not alone"
        assert capture.set(cv2.CAP_PROP_FRAME_HEIGHT, 60)
        assert capture.read()[1].shape == (60, 80, 3)
        assert capture.get(cv2.CAP_PROP_FRAME_HEIGHT) == 60


# What goes wrong ----------------------------------------------------------------------------------------


def test_without_a_producer_it_is_not_opened_and_says_so(
    stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    capture = VideoCapture(stream, url=tcp_url("threads"))
    assert capture.set(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 50)
    with caplog.at_level(logging.WARNING, "fanlight.consumer.video_capture"):
        assert not capture.isOpened()
    assert [record.getMessage() for record in caplog.records if "video_capture" in record.name] == [
        "no frame came within 0.05 s; is a producer running?"
    ]
    assert nothing(capture.read())
    assert (capture.grab(), capture.get(cv2.CAP_PROP_FRAME_WIDTH)) == (False, 0)
    capture.setExceptionMode(True)
    assert capture.getExceptionMode()
    with pytest.raises(FanlightError, match=r"no frame came within 0\.05 s"):
        capture.read()


def test_wrong_settings_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="stream"):
        VideoCapture("no stream")
    with pytest.raises(ConfigError, match="stream"):
        VideoCapture(0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        VideoCapture("cam", nmae="c1")  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="a VideoCapture has pictures"):
        VideoCapture("cam", decode=False)


def test_without_arguments_it_is_closed_until_it_is_opened(stream: str) -> None:
    capture = VideoCapture()
    assert not capture.isOpened()
    assert nothing(capture.read())
    url = tcp_url("threads")
    with Showing(url, stream, moving):
        # OpenCV's further arguments mean nothing here.
        assert capture.open(stream, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1], url=url, via="broker")
        assert capture.read()[0]
    capture.release()
    assert not VideoCapture(apiPreference=cv2.CAP_ANY).isOpened()  # type: ignore[call-arg]


# Threads, processes, signals and ends -------------------------------------------------------------------


@usage("VideoCapture", "end", "`read`: `(False, None)`; `open` again")
@pytest.mark.parametrize("exceptions", [False, True])
def test_at_the_end_it_is_closed_and_may_be_opened_again(bench: Bench, exceptions: bool) -> None:
    bench.send(0)
    assert bench.capture.isOpened()
    bench.out.close()
    bench.capture.setExceptionMode(exceptions)
    assert bench.capture.read()[0], "the last frame"
    if exceptions:
        with pytest.raises(StreamEnded, match="has ended"):
            bench.capture.read()
    else:
        assert nothing(bench.capture.read())
    assert not bench.capture.isOpened()
    assert bench.capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 64
    with Showing(bench.url, bench.stream, moving):
        assert bench.capture.open()
        assert bench.capture.get(cv2.CAP_PROP_FRAME_WIDTH) == WIDTH
        assert bench.capture.open(name="another", until_end=False)
        assert bench.capture.read()[0]


@usage("VideoCapture", "threads", "each frame goes to one that `read`s")
def test_several_threads_read(bench: Bench) -> None:
    bench.send(0)
    numbers: list[int] = []

    def read() -> None:
        while (image := bench.capture.read()[1]) is not None:
            numbers.append(int(image[0, 0, 0]))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 10):
        bench.send(number)
        wait_until(partial(numbers.__contains__, number), 10, "somebody reads it")
    bench.capture.release()
    for thread in threads:
        thread.join(scaled(10))
        assert not thread.is_alive()
    assert sorted(numbers) == list(range(10))


@usage("VideoCapture", "fork", "`WrongProcess`; `release` does nothing")
def test_a_child_is_told_to_make_its_own(bench: Bench) -> None:
    bench.send(0)
    capture = bench.capture
    told = told_in_child(capture.read, capture.grab, capture.isOpened, capture.release)
    assert told.pop() == "returned None"
    for line in told:
        assert line.startswith("WrongProcess: this VideoCapture belongs to another process")
    assert bench.read() == 0
    with pytest.raises(WrongProcess, match="cannot be copied"):
        copy(capture)


@usage("VideoCapture", "asyncio", "`read` by `to_thread`; or `aio.Consumer`")
def test_a_coroutine_reads_by_a_thread(bench: Bench) -> None:
    bench.send(5)
    found, image = asyncio.run(asyncio.to_thread(bench.capture.read))
    assert found
    assert image.min() == 5


@usage("VideoCapture", "signal", "`release`; not `read`")
def test_a_signal_handler_may_release_what_it_interrupted(bench: Bench) -> None:
    bench.send(0)
    assert bench.capture.isOpened()
    assert bench.read() == 0
    bench.capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, 60_000)
    with one_signal(bench.capture.release, 1):
        assert nothing(bench.capture.read())


@usage("VideoCapture", "break", "goes on: `read` again, or `release`")
def test_a_loop_that_was_left_goes_on(bench: Bench) -> None:
    for number in range(3):
        bench.send(number)
        while bench.capture.isOpened():
            found, image = bench.capture.read()
            assert found
            if image[0, 0, 0] == number:
                break
    assert bench.read() is None
