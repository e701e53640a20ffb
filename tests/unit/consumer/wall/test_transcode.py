"""Pictures made of frames, on a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import simplejpeg

from fanlight.common import clock
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.transcode import Transcoder, fitted
from fanlight.consumer.wall.viewer_queue import LiveFrame
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import encoded, picture

MAX_AGE_NS = 3600 * 1_000_000_000


class _Made:
    def __init__(self) -> None:
        self.pictures: queue.Queue[LiveFrame] = queue.Queue()
        self.broken = threading.Event()
        self.dropped = threading.Semaphore(0)

    def take(self) -> LiveFrame:
        return self.pictures.get(timeout=scaled(15))


def _live(frame: EncodedFrame) -> LiveFrame:
    return LiveFrame(frame, clock.wall_ns(), False)


@contextmanager
def _transcoder(made: _Made, max_size: tuple[int, int] | None = None) -> Iterator[Transcoder]:
    transcoder = Transcoder(
        "cam",
        max_size,
        MAX_AGE_NS,
        on_picture=made.pictures.put,
        on_broken=made.broken.set,
        on_dropped=made.dropped.release,
    )
    try:
        yield transcoder
    finally:
        transcoder.stop()
        transcoder.join()


@pytest.mark.parametrize("codec", list(Codec))
def test_a_picture_shows_the_frame(codec: Codec) -> None:
    made = _Made()
    gateway_ns = clock.wall_ns()
    with _transcoder(made) as transcoder:
        transcoder.push(LiveFrame(encoded(1, of=codec)[0], gateway_ns, False, arrived_ns=77))
        live = made.take()
    assert (live.frame.header.codec, live.frame.header.key) == (Codec.JPEG, True)
    assert (live.gateway_ns, live.arrived_ns) == (gateway_ns, 77)
    shown = simplejpeg.decode_jpeg(live.frame.body, "BGR").astype(int)
    assert np.abs(shown - picture(0)).mean() < 8


def test_what_cannot_be_decoded_asks_for_a_keyframe() -> None:
    made = _Made()
    key, _ = encoded(2)
    with _transcoder(made) as transcoder:
        transcoder.push(_live(EncodedFrame(key.header, b"\0\0\0\1\x65no picture")))
        assert made.broken.wait(scaled(15))
        assert made.dropped.acquire(timeout=scaled(15)), "it is counted"


def test_it_asks_for_a_keyframe_to_begin_with() -> None:
    made = _Made()
    _, delta = encoded(2)
    with _transcoder(made) as transcoder:
        transcoder.push(_live(delta))
        assert made.broken.is_set()
        assert made.dropped.acquire(blocking=False), "it is counted"


def test_it_follows_a_change_of_size_and_codec() -> None:
    made = _Made()
    with _transcoder(made, (32, 32)) as transcoder:
        for frame in (encoded(1)[0], encoded(1, of=Codec.PNG, size=(16, 16))[0]):
            transcoder.push(_live(frame))
            size = made.take().frame.header[5:7]
            assert size == fitted(frame.header.width, frame.header.height, (32, 32))


@pytest.mark.parametrize(
    ("size", "most", "result"),
    [
        ((1280, 720), None, (1280, 720)),
        ((1280, 720), (640, 640), (640, 360)),
        ((720, 1280), (640, 640), (360, 640)),
        ((640, 360), (1280, 720), (640, 360)),
        ((10_000, 1), (100, 100), (100, 1)),
    ],
)
def test_pictures_keep_their_aspect_and_are_never_enlarged(
    size: tuple[int, int], most: tuple[int, int] | None, result: tuple[int, int]
) -> None:
    assert fitted(*size, most) == result
