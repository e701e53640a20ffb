"""When a frame is presented, and what is counted then."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.result import Result
from fanlight.common.shm.reader import SharedPicture
from fanlight.consumer.delivery import Delivery, FramePixels
from fanlight.consumer.frame import Frame
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats, Outcome
from tests.support.headers import header
from tests.unit.consumer.build import MS, SECOND, ManualClock

IMAGE = np.zeros((48, 64, 3), np.uint8)


class Picture:
    valid = True


class Bench(ManualClock):
    def __init__(self) -> None:
        super().__init__()
        self.counters = ConsumerCounters()
        self.rows: list[tuple[int, Outcome]] = []
        self.counters.on_trace = lambda row: self.rows.append((row.seq, row.outcome))
        self.delivery = self.of(FramePixels.AS_DECODED)

    def of(self, pixels: FramePixels) -> Delivery:
        return Delivery(500 * MS, self.counters, self.monotonic_ns, pixels)

    def present(
        self,
        seq: int,
        *,
        age_ns: int = 0,
        due_ns: int | None = None,
        lost: int = 0,
        picture: Picture | None = None,
    ) -> Frame | None:
        self.delivery.finish_last()
        captured_ns = self.now_ns - age_ns
        shared = cast("SharedPicture | None", picture)
        return self.delivery.present(header(seq), IMAGE, 7, captured_ns, due_ns, lost, shared)

    @property
    def stats(self) -> ConsumerStats:
        return self.counters.stats(self.now_ns)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_frame_has_its_age_and_the_frames_lost_since_the_one_before(bench: Bench) -> None:
    frames = [bench.present(seq, age_ns=100 * MS, lost=lost) for seq, lost in ((0, 2), (1, 2), (5, 5))]
    assert [frame and (frame.seq, frame.lost, frame.age_s) for frame in frames] == [
        (0, 2, 0.1), (1, 0, 0.1), (5, 3, 0.1),
    ]  # fmt: skip
    assert (bench.stats.presented, bench.stats.shared, bench.stats.skew_p50_s) == (3, False, None)


@pytest.mark.parametrize("shared", [False, True])
def test_a_frame_that_is_too_old_is_not_presented_and_counted_once(bench: Bench, shared: bool) -> None:
    bench.present(0)
    assert bench.present(1, age_ns=501 * MS, picture=Picture() if shared else None) is None
    assert bench.rows == [(0, Outcome.PRESENTED), (1, Outcome.LATE)]
    assert (bench.stats.presented, bench.stats.late, bench.stats.received) == (1, 1, int(shared))


def test_a_picture_that_was_overwritten_meanwhile_is_not_presented(bench: Bench) -> None:
    picture = Picture()
    picture.valid = False
    assert bench.present(0, picture=picture) is None
    assert bench.rows == [(0, Outcome.LATE)]


def test_a_frame_that_is_not_due_is_waited_for(bench: Bench) -> None:
    began_ns = monotonic_ns()
    assert bench.present(0, due_ns=bench.now_ns + 20 * MS, picture=Picture()) is not None
    assert monotonic_ns() - began_ns >= 20 * MS
    assert bench.stats.skew_p50_s == 0.02, "by its own clock, which stood still"
    assert bench.delivery._yield_s > 0
    bench.delivery.yield_to_viewers()
    assert bench.delivery._yield_s == 0, "once"


def test_a_wait_is_bounded_whatever_the_clocks_say(bench: Bench) -> None:
    assert bench.present(0, due_ns=bench.now_ns + 3600 * SECOND) is not None


def test_a_picture_that_expired_in_use_is_counted(bench: Bench) -> None:
    pictures = [Picture(), Picture(), Picture()]
    for seq, picture in enumerate(pictures):
        bench.present(seq, picture=picture)
        picture.valid = seq != 1
    bench.delivery.finish_last()
    assert (bench.stats.expired, bench.stats.presented, bench.stats.shared) == (1, 3, True)


@pytest.mark.parametrize("pixels", list(FramePixels))
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_pixels_are_copied_only_where_a_program_needs_it(
    bench: Bench, pixels: FramePixels, shared: bool, padded: bool
) -> None:
    memory = np.zeros((48, 70, 3), np.uint8)
    image = memory[:, :64] if padded else memory
    image.flags.writeable = False
    picture = cast("SharedPicture | None", Picture() if shared else None)
    frame = bench.of(pixels).present(header(0), image, 7, bench.now_ns, None, 0, picture)
    assert frame is not None
    assert np.array_equal(frame.image, image)
    assert not frame.image.flags.writeable
    owns = pixels is FramePixels.OWN
    copied = (owns and shared) or (padded and pixels is not FramePixels.AS_DECODED)
    assert np.may_share_memory(frame.image, memory) is not copied
    assert frame.image.flags.c_contiguous or (padded and pixels is FramePixels.AS_DECODED)
    assert frame.memory is (None if owns else picture)
    assert bench.stats.shared is shared, "as the statistics say where frames come from"


def test_a_picture_that_is_overwritten_while_it_is_copied_is_not_presented(bench: Bench) -> None:
    picture = Picture()
    picture.valid = False
    shared = cast("SharedPicture | None", picture)
    assert bench.of(FramePixels.OWN).present(header(0), IMAGE, 7, bench.now_ns, None, 0, shared) is None
    assert bench.rows == [(0, Outcome.LATE)]


def test_a_frame_that_owns_its_pixels_never_expires(bench: Bench) -> None:
    picture = Picture()
    delivery = bench.of(FramePixels.OWN)
    frame = delivery.present(
        header(0), IMAGE, 7, bench.now_ns, None, 0, cast("SharedPicture | None", picture)
    )
    picture.valid = False
    delivery.finish_last()
    assert frame is not None
    assert frame.valid
    assert bench.stats.expired == 0


def test_results_are_looked_up_when_a_frame_is_due_and_only_then() -> None:
    due_ns, asked = 5 * MS, list[int]()
    moments = iter([0, due_ns, due_ns])
    now = 0

    def now_ns() -> int:
        nonlocal now
        now = next(moments)
        return now

    def results_of(found: FrameHeader) -> dict[str, Result]:
        asked.append(now)
        return {"faces": result_of(found)}

    delivery = Delivery(500 * MS, ConsumerCounters(), now_ns)
    delivery.add_results(results_of)
    frame = delivery.present(header(3), IMAGE, 7, 0, due_ns, 0)
    assert frame is not None
    assert frame.results == {"faces": result_of(header(3))}
    assert asked == [due_ns]
    assert delivery.present(header(4), IMAGE, 7, -600 * MS, None, 0) is None, "too old"
    assert asked == [due_ns], "its results are not spent on it"


def result_of(found: FrameHeader) -> Result:
    return Result(
        stream=found.stream,
        name="faces",
        epoch=found.epoch,
        seq=found.seq,
        capture_ns=0,
        width=64,
        height=48,
    )
