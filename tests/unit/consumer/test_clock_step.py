from __future__ import annotations

import pytest

from fanlight.consumer.clock_step import TOLERANCE_NS, ClockDoubt

MS = 1_000_000
SECOND = 1000 * MS
HOUR = 3600 * SECOND
MAX_AGE = 500 * MS


def doubt() -> ClockDoubt:
    return ClockDoubt(MAX_AGE)


@pytest.mark.parametrize("age_ns", [-TOLERANCE_NS, 0, 20 * MS, MAX_AGE])
def test_an_age_that_can_be_is_believed_and_nothing_is_asked(age_ns: int) -> None:
    clock = doubt()
    assert not clock.asks(age_ns, 0)
    assert clock.believes(age_ns, 0)


@pytest.mark.parametrize("age_ns", [-HOUR, -TOLERANCE_NS - 1, MAX_AGE + 1, HOUR])
def test_an_age_that_cannot_be_is_asked_about_at_once_and_then_less_and_less(age_ns: int) -> None:
    clock = doubt()
    asked = [ms for ms in range(0, 5000, 10) if clock.asks(age_ns, ms * MS)]
    assert asked == [0, 100, 300, 700, 1500, 2500, 3500, 4500]


def test_every_step_is_asked_about_anew() -> None:
    clock = doubt()
    for at_ns in (0, 10 * SECOND, 20 * SECOND):
        assert clock.asks(HOUR, at_ns)
        assert not clock.asks(HOUR, at_ns + MS)
        assert not clock.asks(20 * MS, at_ns + 2 * MS)


def test_frames_that_are_late_by_turns_do_not_make_it_ask_more_often() -> None:
    clock = doubt()
    asked = 0
    for ms in range(0, 1000, 10):
        asked += clock.asks(HOUR if ms % 20 else 0, ms * MS)
    assert asked <= 10


def test_frames_from_the_future_are_not_shown_before_the_producer_has_answered() -> None:
    clock = doubt()
    clock.answered(-SECOND)
    clock.asks(-HOUR, 0)
    assert not clock.believes(-HOUR, 0)
    assert not clock.believes(-HOUR, HOUR)
    clock.answered(-1)  # what was asked before
    assert not clock.believes(-HOUR, MS)
    clock.answered(0)
    assert clock.believes(-HOUR, 2 * MS)  # this is how its program stamps them


def test_the_next_step_is_doubted_again() -> None:
    clock = doubt()
    clock.asks(-HOUR, 0)
    clock.answered(0)
    clock.asks(20 * MS, 10 * MS)
    assert not clock.believes(-HOUR, 20 * MS)
    clock.asks(-HOUR, 30 * MS)
    assert not clock.believes(-HOUR, 30 * MS)


def test_a_producer_that_never_answers_is_believed_after_a_second() -> None:
    clock = doubt()
    clock.asks(-HOUR, 0)
    assert not clock.believes(-HOUR, SECOND)
    assert clock.believes(-HOUR, SECOND + 1)


def test_of_a_new_producer_nothing_is_known() -> None:
    clock = doubt()
    clock.answered(0)
    clock.asks(-HOUR, 0)
    clock.restart()
    clock.asks(-HOUR, SECOND)
    assert clock.believes(-HOUR, 2 * SECOND + 1)


def test_frames_that_are_too_old_are_not_its_business() -> None:
    clock = doubt()
    clock.asks(HOUR, 0)
    assert clock.believes(HOUR, 0)
