"""The producer's clock and the detection of its steps. The arithmetic is in `clock_offset`."""

from __future__ import annotations

import pytest

from fanlight.common.model.control import ClockReply
from fanlight.consumer.producer_clock import TOLERANCE_NS, ClockStepDetector, ProducerClock
from tests.support.headers import header
from tests.unit.consumer.build import MS, SECOND

WALL = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND
MAX_AGE = 500 * MS


class Bench:
    """A clock, this host's times, and how often the producer was asked."""

    def __init__(self) -> None:
        self.mono_ns = 50 * SECOND
        self.asked = 0
        self.clock = ProducerClock(
            MAX_AGE, self.ask, monotonic_ns=lambda: self.mono_ns, wall_ns=lambda: self.wall_ns
        )

    @property
    def wall_ns(self) -> int:
        return WALL + self.mono_ns

    def ask(self) -> None:
        self.asked += 1

    def answer(self, ahead_ns: int) -> None:
        """The producer, whose clock is so far ahead of ours, answers in 2 ms."""
        asked_ns = self.mono_ns
        answered_ns = self.wall_ns + MS + ahead_ns
        self.mono_ns += 2 * MS
        self.clock.on_reply(
            ClockReply(
                stream="cam", name="x", asked_ns=asked_ns, received_ns=answered_ns, replied_ns=answered_ns
            )
        )

    def frame(self, seq: int = 0, *, epoch: int = 1, age_ns: int = 10 * MS) -> None:
        self.clock.on_frame(header(seq, epoch=epoch, capture_ns=self.clock.now_ns() - age_ns))

    def should_request(self, ticks: int) -> list[int]:
        """The ticks, counted from 1, with which it asks."""
        asking = []
        for tick in range(1, ticks + 1):
            before = self.asked
            self.clock.on_tick()
            asking += [tick] * (self.asked - before)
        return asking


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_until_the_producer_has_answered_its_clock_is_taken_for_ours(bench: Bench) -> None:
    assert bench.clock.now_ns() == bench.wall_ns
    assert bench.clock.offset_ns() == WALL
    bench.answer(ahead_ns=3 * SECOND)
    assert bench.clock.now_ns() == bench.wall_ns + 3 * SECOND
    assert bench.clock.offset_ns() == WALL + 3 * SECOND


def test_every_producer_is_asked_with_its_first_frame(bench: Bench) -> None:
    asked = []
    for seq, epoch in ((7, 1), (8, 1), (0, 2), (1, 2)):
        bench.frame(seq, epoch=epoch)
        asked.append(bench.asked)
    assert asked == [1, 1, 2, 2]


def test_the_next_producer_is_judged_by_its_own_answers(bench: Bench) -> None:
    bench.frame()
    bench.answer(ahead_ns=3 * SECOND)
    bench.frame(epoch=2)
    bench.answer(ahead_ns=-SECOND)
    assert bench.clock.now_ns() == bench.wall_ns - SECOND


def test_the_time_is_asked_for_every_second_only_where_clocks_differ(bench: Bench) -> None:
    assert bench.should_request(20) == [1, 2, 3, 4, 5, 10, 15, 20]
    bench.answer(ahead_ns=3 * SECOND)
    assert bench.should_request(20) == list(range(1, 21))


def test_another_producer_is_asked_often_at_first(bench: Bench) -> None:
    bench.should_request(10)
    bench.frame(epoch=2)
    assert bench.should_request(6) == [1, 2, 3, 4, 5]


def test_frames_of_an_odd_age_make_it_ask_at_once(bench: Bench) -> None:
    bench.frame()
    bench.frame(1)
    assert bench.asked == 1
    bench.frame(2, age_ns=MAX_AGE + 1)
    assert bench.asked == 2


@pytest.mark.parametrize("age_ns", [10 * MS, -HOUR], ids=["good ages", "odd ages"])
def test_epochs_that_change_with_every_frame_make_it_ask_once_a_second(bench: Bench, age_ns: int) -> None:
    for seq in range(600):
        bench.frame(seq, epoch=seq, age_ns=age_ns)
        bench.mono_ns += SECOND // 30
    assert bench.asked <= 25
    bench.frame(601)
    assert bench.asked >= 20, "what was not asked at once is asked later"


# Steps of a clock -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("age_ns", [-TOLERANCE_NS, 0, 20 * MS, MAX_AGE])
def test_a_possible_age_is_believed_and_nothing_is_asked(age_ns: int) -> None:
    clock = ClockStepDetector(MAX_AGE)
    assert not clock.should_request(age_ns, 0)
    assert clock.plausible(age_ns, 0)


@pytest.mark.parametrize("age_ns", [-HOUR, -TOLERANCE_NS - 1, MAX_AGE + 1, HOUR])
def test_an_impossible_age_is_asked_about_at_once_and_then_less_often(age_ns: int) -> None:
    clock = ClockStepDetector(MAX_AGE)
    asked = [ms for ms in range(0, 5000, 10) if clock.should_request(age_ns, ms * MS)]
    assert asked == [0, 100, 300, 700, 1500, 2500, 3500, 4500]


def test_every_step_is_asked_about_anew() -> None:
    clock = ClockStepDetector(MAX_AGE)
    for at_ns in (0, 10 * SECOND, 20 * SECOND):
        assert clock.should_request(HOUR, at_ns)
        assert not clock.should_request(HOUR, at_ns + MS)
        assert not clock.should_request(20 * MS, at_ns + 2 * MS)


def test_alternately_late_frames_do_not_make_it_ask_more_often() -> None:
    clock = ClockStepDetector(MAX_AGE)
    asked = 0
    for ms in range(0, 1000, 10):
        asked += clock.should_request(HOUR if ms % 20 else 0, ms * MS)
    assert asked <= 10


def test_frames_from_the_future_are_not_shown_before_an_answer() -> None:
    clock = ClockStepDetector(MAX_AGE)
    clock.on_reply(-SECOND)
    clock.should_request(-HOUR, 0)
    assert not clock.plausible(-HOUR, 0)
    assert not clock.plausible(-HOUR, HOUR)
    clock.on_reply(-1)  # what was asked before
    assert not clock.plausible(-HOUR, MS)
    clock.on_reply(0)
    assert clock.plausible(-HOUR, 2 * MS)  # this is how its program stamps them


def test_the_next_step_is_not_believed_either() -> None:
    clock = ClockStepDetector(MAX_AGE)
    clock.should_request(-HOUR, 0)
    clock.on_reply(0)
    clock.should_request(20 * MS, 10 * MS)
    assert not clock.plausible(-HOUR, 20 * MS)
    clock.should_request(-HOUR, 30 * MS)
    assert not clock.plausible(-HOUR, 30 * MS)


def test_a_producer_that_never_answers_is_believed_after_a_second() -> None:
    clock = ClockStepDetector(MAX_AGE)
    clock.should_request(-HOUR, 0)
    assert not clock.plausible(-HOUR, SECOND)
    assert clock.plausible(-HOUR, SECOND + 1)


def test_of_a_new_producer_nothing_is_known() -> None:
    clock = ClockStepDetector(MAX_AGE)
    clock.on_reply(0)
    clock.should_request(-HOUR, 0)
    clock.restart()
    clock.should_request(-HOUR, SECOND)
    assert clock.plausible(-HOUR, 2 * SECOND + 1)


def test_frames_that_are_too_old_are_not_its_business() -> None:
    clock = ClockStepDetector(MAX_AGE)
    clock.should_request(HOUR, 0)
    assert clock.plausible(HOUR, 0)


def test_an_age_is_not_known_from_a_step_of_a_clock_until_the_answer(bench: Bench) -> None:
    bench.answer(0)
    bench.frame()
    assert bench.clock.age_ns(bench.wall_ns - 10 * MS) == 10 * MS
    bench.frame(1, age_ns=-HOUR)
    assert bench.clock.age_ns(bench.wall_ns + HOUR) is None
    bench.answer(HOUR)
    assert bench.clock.age_ns(bench.wall_ns + HOUR) == 0
