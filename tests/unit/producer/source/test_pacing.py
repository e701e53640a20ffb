from __future__ import annotations

import itertools
import threading

import pytest

from fanlight.common.clock import monotonic_ns
from fanlight.producer.source.pacing import Backlog, MediaClock, Pacer, Thinner, interval_ns, wait_until
from tests.support.timing import scaled

MS = 1_000_000


def test_interval_is_exact_to_the_nanosecond() -> None:
    assert interval_ns(25) == 40 * MS
    assert interval_ns(29.97) == 33_366_700


class TestPacer:
    def test_deadlines_are_absolute_so_that_delays_do_not_add_up(self) -> None:
        pacer = Pacer()
        now_ns, deadlines = 1000 * MS, []
        for index in range(100):
            deadline_ns = pacer.deadline_ns(index * 40 * MS, now_ns)
            deadlines.append(deadline_ns)
            now_ns = max(now_ns, deadline_ns) + 7 * MS  # every picture handed on 7 ms late
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

    @pytest.mark.parametrize("late_ns", [1, MS, 20 * MS])
    def test_a_picture_that_was_woken_up_for_late_is_stamped_when_it_was_due(self, late_ns: int) -> None:
        assert self.stamped(Pacer(), 1000 * MS, 1000 * MS + late_ns) == 1000 * MS

    @pytest.mark.parametrize("late_ns", [20 * MS + 1, 400 * MS])
    def test_a_picture_that_its_source_held_up_is_stamped_when_it_came(self, late_ns: int) -> None:
        assert self.stamped(Pacer(), 1000 * MS, 1000 * MS + late_ns) == 1000 * MS + late_ns

    def test_wake_ups_of_any_delay_leave_the_stamps_an_interval_apart(self) -> None:
        pacer = Pacer()
        delays = [0, 3, 19, 1, 20, 7]
        due = [(1000 + 40 * index) * MS for index in range(len(delays))]
        stamps = [self.stamped(pacer, at, at + late * MS) for at, late in zip(due, delays, strict=True)]
        assert stamps == due

    def test_stamps_never_go_back(self) -> None:
        pacer = Pacer()
        stalled = self.stamped(pacer, 1000 * MS, 1050 * MS)
        assert stalled == 1050 * MS
        assert self.stamped(pacer, 1040 * MS, 1051 * MS) == stalled, (
            "due before the one that was held up came"
        )
        assert self.stamped(pacer, 1080 * MS, 1080 * MS) == 1080 * MS

    @pytest.mark.parametrize("set_by_ns", [-3600 * 1000 * MS, -5 * MS, 5 * MS, 3600 * 1000 * MS])
    def test_a_wall_clock_that_is_set_shows_in_the_stamp(self, set_by_ns: int) -> None:
        pacer = Pacer()
        assert self.stamped(pacer, 1000 * MS, 1002 * MS) == 1000 * MS
        assert self.stamped(pacer, 1040 * MS, 1047 * MS, set_by_ns=set_by_ns) == 1040 * MS + set_by_ns


class TestMediaClock:
    def test_starts_at_zero_whatever_the_file_starts_at(self) -> None:
        clock = MediaClock(40 * MS)
        assert [clock.place(pts * MS) for pts in (5000, 5040, 5100)] == [0, 40 * MS, 100 * MS]

    def test_missing_timestamps_follow_at_the_nominal_interval(self) -> None:
        clock = MediaClock(40 * MS)
        assert [clock.place(pts) for pts in (None, None, None)] == [0, 40 * MS, 80 * MS]

    @pytest.mark.parametrize("odd_ms", [1040, 0, 11_041, 10**9], ids=["repeat", "back", "leap", "wrap"])
    def test_timestamps_that_make_no_sense_follow_at_the_nominal_interval(self, odd_ms: int) -> None:
        clock = MediaClock(40 * MS)
        assert [clock.place(pts * MS) for pts in (1000, 1040, odd_ms, odd_ms + 50)] == [
            0,
            40 * MS,
            80 * MS,
            130 * MS,
        ]

    @pytest.mark.parametrize("timestamps", [[0, 40, 80], [0], [7000, 7040]])
    def test_a_file_that_starts_over_leaves_no_gap(self, timestamps: list[int]) -> None:
        clock = MediaClock(40 * MS)
        placed = [clock.place(pts * MS) for pts in timestamps * 3]
        assert placed == [index * 40 * MS for index in range(len(timestamps) * 3)]


class TestThinner:
    @staticmethod
    def admitted(wanted: float, arrivals_ms: list[float]) -> list[float]:
        thinner = Thinner(wanted)
        return [ms for ms in arrivals_ms if thinner.admits(round(ms * MS))]

    def test_a_source_of_the_same_rate_loses_nothing_to_jitter(self) -> None:
        arrivals = [i * 1000 / 30 + (12 if i % 2 else -12) for i in range(300)]
        assert self.admitted(30, arrivals) == arrivals

    @pytest.mark.parametrize(("wanted", "expected"), [(10, 100), (15, 150), (20, 200), (29, 290)])
    def test_a_faster_source_is_thinned_to_the_rate(self, wanted: int, expected: int) -> None:
        kept = self.admitted(wanted, [i * 1000 / 30 for i in range(300)])
        assert abs(len(kept) - expected) <= 1

    def test_after_a_pause_there_is_no_burst(self) -> None:
        arrivals = [0.0, *(5000 + i * 10 for i in range(30))]
        assert self.admitted(10, arrivals) == [0, 5000, 5050, 5150, 5250]


class TestWaitUntil:
    def test_returns_after_the_deadline_not_before(self) -> None:
        deadline_ns = monotonic_ns() + 20 * MS
        assert wait_until(deadline_ns, threading.Event())
        assert monotonic_ns() >= deadline_ns

    def test_an_interrupt_ends_the_wait(self) -> None:
        interrupted = threading.Event()
        timer = threading.Timer(0.02, interrupted.set)
        timer.start()
        started_ns = monotonic_ns()
        assert not wait_until(started_ns + round(scaled(60) * 1e9), interrupted)
        assert monotonic_ns() - started_ns < scaled(30) * 1e9
        timer.join()


class TestBacklog:
    @staticmethod
    def decoded(backlog: Backlog, waits_ms: list[float], *, decoding_ms: float, gop: int = 1) -> list[int]:
        """Which packets are decoded, if each is waited for so long."""
        now_ns, decoded = 10**12, []
        for number, wait_ms in enumerate(waits_ms):
            came_ns = now_ns + int(wait_ms * MS)
            key = number % gop == 0
            now_ns = came_ns
            if not backlog.leaves_out(asked_ns=came_ns - int(wait_ms * MS), came_ns=came_ns, key=key):
                decoded.append(number)
                now_ns += int(decoding_ms * MS)
        return decoded

    @pytest.mark.parametrize("intra_only", [True, False])
    def test_a_few_at_once_are_decoded(self, intra_only: bool) -> None:
        backlog = Backlog(40 * MS, intra_only=intra_only)
        assert self.decoded(backlog, [300.0, *[0.1] * 7] * 20, decoding_ms=9, gop=30) == [*range(160)]

    def test_of_a_flood_of_pictures_that_stand_alone_only_the_nominal_rate_is_decoded(self) -> None:
        decoded = self.decoded(Backlog(40 * MS, intra_only=True), [0.5] * 1000, decoding_ms=5)
        # 1000 in about half a second instead of five.
        assert 8 + 10 <= len(decoded) <= 8 + 20
        assert self.decoded(Backlog(40 * MS, intra_only=True), [0.5] * 8, decoding_ms=5) == [*range(8)]

    def test_of_a_flood_that_refers_to_itself_whole_groups_are_left_out(self) -> None:
        decoded = self.decoded(Backlog(40 * MS, intra_only=False), [0.5] * 1000, decoding_ms=5, gop=100)
        assert len(decoded) < 700
        # What is decoded after a gap begins with a keyframe.
        assert all(later % 100 == 0 for early, later in itertools.pairwise(decoded) if later != early + 1)

    def test_after_a_flood_every_picture_is_decoded_again(self) -> None:
        backlog = Backlog(40 * MS, intra_only=True)
        waits = [0.5] * 100 + [40.0] * 50
        assert self.decoded(backlog, waits, decoding_ms=5)[-50:] == [*range(100, 150)]
