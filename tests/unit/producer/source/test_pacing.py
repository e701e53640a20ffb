from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fanlight.producer.source.pacing import (
    Clock,
    FrameRateLimiter,
    MediaClock,
    Pacer,
    TimestampChoice,
    interval_ns,
)
from tests.support.timing import scaled

MS = 1_000_000


def test_interval_is_exact_to_the_nanosecond() -> None:
    assert interval_ns(1e-6) == 10**6 * 1000 * MS
    assert interval_ns(1 / 86400) == 86400 * 1000 * MS
    assert interval_ns(25) == 40 * MS
    assert interval_ns(29.97) == 33_366_700


class TestPacer:
    def test_deadlines_are_absolute_so_that_delays_do_not_add_up(self) -> None:
        pacer = Pacer()
        now_ns, deadlines = 1000 * MS, []
        for index in range(100):
            deadline_ns = pacer.deadline_ns(index * 40 * MS, now_ns)
            deadlines.append(deadline_ns)
            now_ns = max(now_ns, deadline_ns) + 7 * MS  # every picture 7 ms late
        assert deadlines == [1000 * MS + index * 40 * MS for index in range(100)]

    def test_after_a_stall_it_goes_on_from_now_instead_of_bursting(self) -> None:
        pacer = Pacer()
        pacer.deadline_ns(0, 0)
        assert pacer.deadline_ns(40 * MS, 541 * MS) == 541 * MS
        assert pacer.deadline_ns(80 * MS, 541 * MS) == 581 * MS


class TestCaptureTime:
    """Monotonic time is 1 s where Unix time is `UNIX`."""

    UNIX = 1_700_000_000_000 * MS

    @classmethod
    def stamped(cls, pacer: Pacer, deadline_ns: int, now_ns: int, *, set_by_ns: int = 0) -> int:
        """The stamp, as monotonic time of a clock that was never set."""
        ahead_ns = cls.UNIX - 1000 * MS
        wall_ns = ahead_ns + now_ns + set_by_ns
        return pacer.capture_ns(deadline_ns, now_ns=now_ns, wall_ns=wall_ns) - ahead_ns

    @pytest.mark.parametrize("late_ns", [20 * MS + 1, 400 * MS])
    def test_a_picture_that_its_source_delayed_is_stamped_at_its_arrival(self, late_ns: int) -> None:
        assert self.stamped(Pacer(), 1000 * MS, 1000 * MS + late_ns) == 1000 * MS + late_ns

    def test_wake_ups_of_any_delay_leave_the_stamps_an_interval_apart(self) -> None:
        pacer = Pacer()
        delays_ns = [0, 1, 19 * MS, 1 * MS, 20 * MS, 7 * MS]
        due = [(1000 + 40 * index) * MS for index in range(len(delays_ns))]
        stamps = [self.stamped(pacer, at, at + late_ns) for at, late_ns in zip(due, delays_ns, strict=True)]
        assert stamps == due

    def test_stamps_never_go_back(self) -> None:
        pacer = Pacer()
        stalled = self.stamped(pacer, 1000 * MS, 1050 * MS)
        assert stalled == 1050 * MS
        assert self.stamped(pacer, 1040 * MS, 1051 * MS) == stalled, "due before the delayed one arrived"
        assert self.stamped(pacer, 1080 * MS, 1080 * MS) == 1080 * MS

    @pytest.mark.parametrize("set_by_ns", [-3600 * 1000 * MS, -5 * MS, 5 * MS, 3600 * 1000 * MS])
    def test_a_step_of_the_wall_clock_shows_in_the_stamp(self, set_by_ns: int) -> None:
        pacer = Pacer()
        assert self.stamped(pacer, 1000 * MS, 1002 * MS) == 1000 * MS
        assert self.stamped(pacer, 1040 * MS, 1047 * MS, set_by_ns=set_by_ns) == 1040 * MS + set_by_ns


class TestMediaClock:
    @pytest.mark.parametrize(
        ("timestamps", "placed"),
        [
            ([5000, 5040, 5100], [0, 40, 100]),
            ([None, None, None], [0, 40, 80]),
            ([1000, 1040, 1040, 1090], [0, 40, 80, 130]),
            ([1000, 1040, 0, 50], [0, 40, 80, 130]),
            ([1000, 1040, 11_041, 11_091], [0, 40, 80, 130]),
            ([1000, 1040, 10**9, 10**9 + 50], [0, 40, 80, 130]),
        ],
        ids=["later start", "none", "repeat", "back", "leap", "wrap"],
    )
    def test_impossible_timestamps_are_replaced_by_the_nominal_interval(
        self, timestamps: list[int | None], placed: list[int]
    ) -> None:
        clock = MediaClock(40 * MS)
        found = [clock.place(None if pts is None else pts * MS) for pts in timestamps]
        assert found == [ms * MS for ms in placed]

    @pytest.mark.parametrize("timestamps", [[0, 40, 80], [0], [7000, 7040]])
    def test_a_file_that_starts_over_leaves_no_gap(self, timestamps: list[int]) -> None:
        clock = MediaClock(40 * MS)
        placed = [clock.place(pts * MS) for pts in timestamps * 3]
        assert placed == [index * 40 * MS for index in range(len(timestamps) * 3)]

    @pytest.mark.parametrize(
        ("pause_ms", "again_ms"), [(0, 120), (40, 120), (7000, 7080), (20_000, 10_080)]
    )
    def test_the_last_picture_keeps_its_pause_before_a_file_starts_over(
        self, pause_ms: int, again_ms: int
    ) -> None:
        clock = MediaClock(40 * MS)
        for pts in (0, 40, 80):
            clock.place(pts * MS)
        clock.start_over(pause_ms * MS)
        assert [clock.place(pts * MS) for pts in (0, 40)] == [again_ms * MS, (again_ms + 40) * MS]

    def test_a_pause_up_to_the_longest_step_keeps_its_length(self) -> None:
        hour = 3600 * 1000
        assert MediaClock(40 * MS, hour * MS).place(0) == 0
        for interval_ms, longest_ms, step_ms in ((40, hour, hour), (60_000, 10_000, 180_000)):
            clock = MediaClock(interval_ms * MS, longest_ms * MS)
            assert [clock.place(0), clock.place(step_ms * MS)] == [0, step_ms * MS]
            assert clock.place((2 * step_ms + 1) * MS) == (step_ms + interval_ms) * MS


@pytest.mark.parametrize(
    ("decoded", "chosen"),
    [
        ([(0, 0), (40, 40), (200, 80)], [0, 40, 200]),
        ([(40, 80), (160, 120), (120, 160), (200, 200), (80, 240)], [40, 160, 160, 200, 240]),
        ([(0, 0), (40, 0), (40, 0)], [0, 40, 40]),
        ([(None, 3), (5, None), (None, None)], [3, 5, None]),
    ],
    ids=["a pause", "a guess that B-frames prove wrong", "both repeat", "missing"],
)
def test_of_two_times_the_one_that_goes_forward_is_chosen(
    decoded: list[tuple[int | None, int | None]], chosen: list[int | None]
) -> None:
    timestamps = TimestampChoice()
    assert [timestamps.best(pts, dts) for pts, dts in decoded] == chosen


class TestFrameRateLimiter:
    @staticmethod
    def admitted(wanted: float, arrivals_ms: list[float]) -> list[float]:
        limiter = FrameRateLimiter(wanted)
        return [ms for ms in arrivals_ms if limiter.admits(round(ms * MS))]

    def test_a_source_of_the_same_rate_loses_nothing_to_jitter(self) -> None:
        arrivals = [i * 1000 / 30 + (12 if i % 2 else -12) for i in range(300)]
        assert self.admitted(30, arrivals) == arrivals

    @pytest.mark.parametrize(("wanted", "expected"), [(10, 100), (15, 150), (20, 200), (29, 290)])
    def test_a_faster_source_is_reduced_to_the_rate(self, wanted: int, expected: int) -> None:
        kept = self.admitted(wanted, [i * 1000 / 30 for i in range(300)])
        assert abs(len(kept) - expected) <= 1

    def test_after_a_pause_there_is_no_burst(self) -> None:
        arrivals = [0.0, *(5000 + i * 10 for i in range(30))]
        assert self.admitted(10, arrivals) == [0, 5000, 5050, 5150, 5250]


def test_the_clock_waits_until_the_deadline_and_not_longer() -> None:
    deadline_ns = Clock().monotonic_ns() + 20 * MS
    assert Clock().wait_until(deadline_ns, threading.Event())
    assert Clock().monotonic_ns() >= deadline_ns


def test_an_interrupt_ends_the_wait() -> None:
    interrupted = threading.Event()
    never_ns = Clock().monotonic_ns() + 3600 * 1000 * MS
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(Clock().wait_until, never_ns, interrupted)
        interrupted.set()
        assert waiting.result(timeout=scaled(30)) is False
