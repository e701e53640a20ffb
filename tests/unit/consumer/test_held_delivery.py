"""Frames are counted when the program gets them, by the age that they have then."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.result import Result
from fanlight.common.shm.reader import SharedPicture
from fanlight.consumer.delivery import FramePixels
from fanlight.consumer.frame import Frame
from fanlight.consumer.held_delivery import Held, HeldDelivery
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats, Outcome
from tests.support.headers import header
from tests.unit.consumer.build import MS, ManualClock

IMAGE = np.zeros((48, 64, 3), np.uint8)


class Picture:
    valid = True


class Bench(ManualClock):
    def __init__(self, pixels: FramePixels = FramePixels.OWN) -> None:
        super().__init__()
        self.counters = ConsumerCounters()
        self.delivery = HeldDelivery(500 * MS, self.counters, self.monotonic_ns, pixels)

    def take(self, seq: int, *, lost: int = 0, picture: Picture | None = None) -> Held:
        """On the reading thread: a frame of this moment."""
        self.delivery.finish_last()
        shared = cast("SharedPicture | None", picture)
        if picture is None:
            self.counters.received(header(seq), 100, 7)
        frame = self.delivery.present(header(seq), IMAGE, 7, self.now_ns, None, lost, shared)
        assert frame is not None
        return self.delivery.hold(frame)

    def present(self, held: Held) -> Frame | None:
        self.delivery.finish_presented()
        return self.delivery.present_held(held)

    @property
    def stats(self) -> ConsumerStats:
        return self.counters.stats(self.now_ns)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_frame_counts_when_it_is_presented_and_is_as_old_as_it_is_then(bench: Bench) -> None:
    held = bench.take(1)
    assert bench.stats.presented == 0
    bench.now_ns += 300 * MS
    frame = bench.present(held)
    assert frame is not None
    assert frame.age_s == pytest.approx(0.3)
    assert frame.captured_ns == held.frame.captured_ns == bench.now_ns - 300 * MS
    assert bench.stats.presented == 1
    assert bench.stats.age_p50_s == pytest.approx(0.3)


def test_a_frame_that_became_too_old_is_late_and_not_presented(bench: Bench) -> None:
    held = bench.take(1)
    bench.now_ns += 501 * MS
    assert bench.present(held) is None
    assert (bench.stats.received, bench.stats.presented, bench.stats.late) == (1, 0, 1)


@pytest.mark.parametrize("shared", [False, True])
def test_a_dropped_frame_counts_once_as_received_and_by_its_outcome(shared: bool) -> None:
    bench = Bench()
    bench.delivery.drop(bench.take(1, picture=Picture() if shared else None), Outcome.SUPERSEDED)
    assert (bench.stats.received, bench.stats.superseded, bench.stats.presented) == (1, 1, 0)


def test_frames_lost_before_a_dropped_one_are_those_before_the_next(bench: Bench) -> None:
    bench.delivery.drop(bench.take(4, lost=3), Outcome.SUPERSEDED)
    frame = bench.present(bench.take(7, lost=5))
    assert frame is not None
    assert frame.lost == 5
    following = bench.present(bench.take(8, lost=5))
    assert following is not None
    assert following.lost == 0


def test_a_shared_picture_that_was_overwritten_before_is_not_presented() -> None:
    bench = Bench(FramePixels.CONTIGUOUS)
    picture = Picture()
    held = bench.take(1, picture=picture)
    picture.valid = False
    assert bench.present(held) is None
    assert (bench.stats.late, bench.stats.expired) == (1, 0)


def test_a_shared_picture_that_the_program_held_for_too_long_is_counted() -> None:
    bench = Bench(FramePixels.CONTIGUOUS)
    picture = Picture()
    assert bench.present(bench.take(1, picture=picture)) is not None
    following = bench.take(2, picture=Picture())  # read ahead, while the program uses the first
    picture.valid = False
    assert bench.stats.expired == 0
    assert bench.present(following) is not None
    assert bench.stats.expired == 1


@pytest.mark.parametrize("due_in_ns", [None, -MS, 0, MS])
def test_others_are_told_before_it_waits_until_a_frame_is_due(due_in_ns: int | None) -> None:
    clock = ManualClock()
    waits: list[int] = []
    delivery = HeldDelivery(
        500 * MS, ConsumerCounters(), clock.monotonic_ns, on_wait=lambda: waits.append(clock.now_ns)
    )
    due_ns = None if due_in_ns is None else clock.now_ns + due_in_ns
    assert delivery.present(header(1), IMAGE, 7, clock.now_ns, due_ns, 0) is not None
    assert len(waits) == (due_in_ns == MS)


def test_uncounted_frames_stay_few(bench: Bench) -> None:
    for seq in range(500):
        assert bench.present(bench.take(seq)) is not None
        assert len(bench.counters.presented) <= 60
    assert bench.stats.presented == 500


def test_results_are_those_of_the_moment_of_presentation(bench: Bench) -> None:
    asked: list[int] = []

    def results_of(of: FrameHeader) -> dict[str, Result]:
        asked.append(of.seq)
        found = Result(
            stream="cam",
            name="faces",
            epoch=of.epoch,
            seq=of.seq,
            capture_ns=of.capture_ns,
            width=64,
            height=48,
        )
        return {found.name: found}

    bench.delivery.add_results(results_of)
    bench.delivery.drop(bench.take(1), Outcome.SUPERSEDED)
    assert not asked
    frame = bench.present(bench.take(2))
    assert frame is not None
    assert frame.results["faces"].seq == 2
