"""A producer and its consumers over a real RabbitMQ, with real footage: pictures, joins, restarts."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Protocol

import av
import numpy as np
import pytest

from fanlight.common.codec.picture import BGR
from fanlight.consumer import Consumer, Frame
from fanlight.producer import Producer
from tests.support.media_server import CLIP
from tests.support.timing import scaled, wait_until
from tests.unit.common.codec.build import psnr

# Tests that compare pixels, or count frames, must not lose one because the machine is busy.
PATIENT_S = 10.0
FPS = 15
EVERY_CODEC = pytest.mark.parametrize("codec", ["h264", "jpeg", "png", "raw"])


class AcceptsPictures(Protocol):
    """A producer, or a stub of one."""

    def send(self, image: BGR, *, capture_ns: int) -> None: ...


class Camera:
    """Sends real footage to a producer at a steady rate from a thread of its own, until it is stopped.

    Attributes:
        sent: each picture by the capture time that it was sent with.
    """

    def __init__(self, out: AcceptsPictures, pictures: list[BGR], fps: float = FPS) -> None:
        self.sent: dict[int, BGR] = {}
        self._out = out
        self._pictures = pictures
        self._interval_s = 1 / fps
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for picture in itertools.cycle(self._pictures):
            capture_ns = time.time_ns()
            self.sent[capture_ns] = picture
            self._out.send(picture, capture_ns=capture_ns)
            if self._stopped.wait(self._interval_s):
                return

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


@contextmanager
def on_air(
    stream: str, url: str, codec: str = "h264", fps: float = FPS
) -> Iterator[tuple[Producer, Camera]]:
    """A producer under a steady stream of small pictures."""
    with Producer(stream=stream, codec=codec, fps=fps, max_age_s=PATIENT_S, url=url) as out:
        camera = Camera(out, small(), fps)
        camera.start()
        try:
            yield out, camera
        finally:
            camera.stop()


@cache
def footage() -> list[BGR]:
    """The first 20 pictures of the clip, 1280x720."""
    return _decoded(1280, 720, 20)


@cache
def small() -> list[BGR]:
    """The first 40 at 320x180."""
    return _decoded(320, 180, 40)


def _decoded(width: int, height: int, count: int) -> list[BGR]:
    with av.open(str(CLIP)) as container:
        decoded = itertools.islice(container.decode(video=0), count)
        frames = [frame.reformat(width, height, format="bgr24") for frame in decoded]
        return [frame.to_ndarray().astype(np.uint8, order="C", copy=False) for frame in frames]


def read(
    consumer: Consumer, count: int, wanted: Callable[[Frame], bool] = lambda _frame: True
) -> list[Frame]:
    """The next `count` frames that are wanted; others are skipped."""
    frames: list[Frame] = []
    deadline = time.monotonic() + scaled(15)
    while len(frames) < count:
        left_s = deadline - time.monotonic()
        assert left_s > 0, f"{len(frames)} of {count} frames came: {consumer.stats()}"
        frame = consumer.read(timeout_s=left_s)
        if frame is not None and wanted(frame):
            frames.append(frame)
    return frames


def of_epoch(epoch: int) -> Callable[[Frame], bool]:
    return lambda frame: frame.epoch == epoch


def exchange_one_by_one(stream: str, url: str, codec: str, pictures: list[BGR]) -> list[tuple[BGR, Frame]]:
    """Send each picture when the one before it has arrived; pairs of what was sent and what came."""
    pairs: list[tuple[BGR, Frame]] = []
    with (
        Producer(stream=stream, codec=codec, fps=FPS, max_age_s=PATIENT_S, url=url) as out,
        Consumer(stream, "c1", max_age_s=PATIENT_S, url=url) as consumer,
    ):
        wait_until(lambda: out.watched and consumer.stats().connected, 20, "somebody watches")
        for picture in pictures:
            capture_ns = time.time_ns()
            out.send(picture, capture_ns=capture_ns)
            frame = consumer.read(timeout_s=scaled(PATIENT_S))
            assert frame is not None, f"frame {len(pairs)} did not arrive: {consumer.stats()}"
            assert frame.capture_ns == capture_ns
            pairs.append((picture, frame))
    return pairs


@EVERY_CODEC
def test_every_picture_arrives_as_it_was_sent(stream: str, url: str, codec: str) -> None:
    pairs = exchange_one_by_one(stream, url, codec, footage())
    assert [frame.seq for _, frame in pairs] == list(range(20))
    assert sum(frame.lost for _, frame in pairs) == 0
    for sent, frame in pairs:
        assert (frame.header.width, frame.header.height) == (1280, 720)
        if codec in {"png", "raw"}:
            assert np.array_equal(frame.image, sent)
        else:
            assert psnr(frame.image, sent) >= 35, f"frame {frame.seq}"


@EVERY_CODEC
def test_a_consumer_that_joins_mid_stream_gets_a_whole_picture(stream: str, url: str, codec: str) -> None:
    with (
        on_air(stream, url, codec) as (_, camera),
        Consumer(stream, "early", url=url) as early,
    ):
        read(early, 8)  # half a second after a keyframe, and half a second before the next
        with Consumer(stream, "late", url=url) as late:
            wait_until(lambda: late.stats().connected, 20, "the late one is connected")
            # How soon it comes is the benchmark's to check.
            first = late.read(scaled(10))
            assert first is not None
            following = read(late, 5)
        for frame in [first, *following]:
            assert psnr(frame.image, camera.sent[frame.capture_ns]) >= 30
        assert late.stats().undecodable == 0


def test_nothing_is_published_while_nobody_watches(stream: str, url: str) -> None:
    with on_air(stream, url) as (out, _):
        with Consumer(stream, "c1", url=url) as consumer:
            read(consumer, 5)
            assert out.watched
        wait_until(lambda: not out.watched, 20, "the producer is idle")
        settled = out.stats().unwatched + 8  # what was on its way, or asked for, when the last one left
        wait_until(lambda: out.stats().unwatched >= settled, 20, "pictures are dropped")
        before = out.stats()
        wait_until(lambda: out.stats().unwatched >= before.unwatched + 10, 20, "pictures are dropped")
        after = out.stats()
        assert (after.published, after.published_bytes) == (before.published, before.published_bytes)
        assert not out.watched


def test_a_restarted_producer_is_followed(stream: str, url: str) -> None:
    with Consumer(stream, "c1", max_age_s=PATIENT_S, url=url) as consumer:
        epochs = []
        for _ in range(2):
            with on_air(stream, url) as (out, camera):
                frames = read(consumer, 5, of_epoch(out.epoch))
                assert all(psnr(frame.image, camera.sent[frame.capture_ns]) >= 30 for frame in frames)
                epochs.append(out.epoch)
        assert epochs[0] != epochs[1]
        stats = consumer.stats()
        assert stats.epoch == epochs[1]
        assert (stats.lost, stats.duplicate, stats.undecodable) == (0, 0, 0)
        if url.startswith("amqp"):
            assert stats.reconnects == 0


def test_two_consumers_of_one_name_both_get_every_frame(stream: str, url: str) -> None:
    with (
        on_air(stream, url) as (out, _),
        Consumer(stream, "same", max_age_s=PATIENT_S, url=url) as one,
        Consumer(stream, "same", max_age_s=PATIENT_S, url=url) as other,
    ):
        read(one, 1)
        read(other, 1)
        start = max(one.stats().highest_seq, other.stats().highest_seq) + 1
        wait_until(lambda: all(c.stats().highest_seq >= start + 20 for c in (one, other)), 15, "20 more")
        for consumer in (one, other):
            stats = consumer.stats()
            assert stats.epoch == out.epoch
            assert (stats.lost, stats.duplicate, stats.malformed) == (0, 0, 0)
            assert stats.received >= 20


@pytest.mark.parametrize("codec", ["h264", "jpeg"])
def test_sync_playout_presents_each_frame_at_its_time(stream: str, url: str, codec: str) -> None:
    delay_s = 0.4
    with (
        on_air(stream, url, codec) as (_, _camera),
        Consumer(stream, "c1", playout="sync", delay_s=delay_s, max_age_s=2, url=url) as consumer,
    ):
        frames = read(consumer, 25)
        early_s = [delay_s - (frame.presented_ns - frame.capture_ns) / 1e9 for frame in frames]
        assert max(early_s) <= 0, "a frame was shown before its time"
        assert all(one.seq < next_.seq for one, next_ in itertools.pairwise(frames))
        assert consumer.stats().skew_p50_s is not None
