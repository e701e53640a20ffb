"""Pictures for pools: the same frames in another codec, on another thread, and nothing for nobody."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fanlight.common.codec import decoder
from fanlight.common.codec.picture import BGR
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.producer.intra_encode import IntraEncode, Numbered
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import ProducerCounters
from tests.support.headers import header
from tests.support.timing import scaled
from tests.unit.common.codec.build import gradient, psnr

MS = 1_000_000
NOW_NS = 5_000_000_000
ODD = gradient(63, 47)


@dataclass
class Pool:
    """The branch of a publisher: ready while `taking` is set."""

    watched: bool = True
    alone: bool = False
    taking: threading.Event = field(default_factory=threading.Event)
    published: list[EncodedFrame] = field(default_factory=list)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait_ready(self, timeout_s: float) -> bool:
        return self.taking.wait(timeout_s)

    def publish(self, frame: EncodedFrame) -> None:
        self.published.append(frame)
        self.came.release()


class Bench:
    def __init__(self, *, taking: bool = True) -> None:
        self.pool = Pool()
        if taking:
            self.pool.taking.set()
        self.counters = ProducerCounters()
        self.encode = IntraEncode(self.pool, self.counters, max_age_s=0.5, now_ns=lambda: NOW_NS)

    def offer(
        self, seq: int, picture: Any = ODD, *, age_ms: int = 10, alone: bool = False, size: Any = None
    ) -> None:
        captured = Captured(picture, 77, NOW_NS - age_ms * MS)
        height, width = picture.shape[:2]
        described = header(seq, Codec.H264, size or (width, height), epoch=9, key=False, capture_ns=77)
        self.encode.offer(Numbered(captured, described, alone))

    def next(self) -> EncodedFrame:
        assert self.pool.came.acquire(timeout=scaled(10))
        return self.pool.published[-1]

    def counts(self) -> tuple[int, int, int, int, int]:
        self.encode.stop(scaled(10))
        stats = self.counters.stats(0)
        return stats.intra, stats.intra_dropped, stats.published, stats.skipped, stats.stale


def pixels(frame: EncodedFrame) -> BGR:
    return decoder(frame.header.codec).decode(frame).pixels()


def test_the_frame_is_the_streams_own_in_another_codec() -> None:
    bench = Bench()
    bench.offer(41)
    frame = bench.next()
    assert frame.header == header(41, Codec.JPEG, (63, 47), epoch=9, key=True, capture_ns=77)
    assert psnr(pixels(frame), ODD) > 28
    assert bench.counts() == (1, 0, 0, 0, 0), "the frame itself counts as published elsewhere"


def test_it_is_scaled_as_the_stream_is() -> None:
    bench = Bench()
    bench.offer(0, gradient(128, 96), size=(64, 48))
    assert pixels(bench.next()).shape == (48, 64, 3)
    bench.encode.stop(scaled(10))


def test_alone_its_pictures_are_what_is_published() -> None:
    bench = Bench()
    bench.offer(0, alone=True)
    frame = bench.next()
    assert bench.counts() == (1, 0, 1, 0, 0)
    assert bench.counters.stats(0).published_bytes == len(frame.body)


@pytest.mark.parametrize("alone", [False, True])
def test_the_newest_picture_waits_and_the_others_are_counted(alone: bool) -> None:
    bench = Bench(taking=False)
    for seq in range(5):
        bench.offer(seq, alone=alone)
    bench.pool.taking.set()
    assert bench.next().header.seq == 4
    assert bench.counts() == ((1, 0, 1, 4, 0) if alone else (1, 4, 0, 0, 0))


def test_a_picture_that_nobody_takes_is_counted_at_the_end() -> None:
    bench = Bench(taking=False)
    bench.offer(0)
    assert bench.counts() == (0, 1, 0, 0, 0)
    bench.offer(1, alone=True)
    assert bench.counts() == (0, 1, 0, 1, 0)


def test_a_picture_that_is_too_old_or_cannot_be_encoded_is_dropped() -> None:
    bench = Bench()
    bench.offer(0, age_ms=501)
    bench.offer(1, np.zeros((0, 7, 3), np.uint8))
    bench.offer(2)
    assert bench.next().header.seq == 2
    published, dropped, *_ = bench.counts()
    assert (published, dropped) == (1, 2)


def test_without_a_picture_there_is_no_thread() -> None:
    bench = Bench()
    assert "encode for pools" not in [thread.name for thread in threading.enumerate()]
    bench.encode.stop(scaled(1))
