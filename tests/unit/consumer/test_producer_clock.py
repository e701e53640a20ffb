"""What a consumer makes of its producer's clock. See `common/model/clock_offset.py` for the arithmetic."""

from __future__ import annotations

import pytest

from fanlight.common.model.control import ClockReply
from fanlight.consumer.producer_clock import ProducerClock
from tests.support.headers import header
from tests.unit.consumer.build import MS, SECOND

WALL = 1_700_000_000 * SECOND
MAX_AGE = 500 * MS


class Bench:
    """A clock, this host's times, and how often the producer was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mono_ns = 50 * SECOND
        self.asked = 0
        monkeypatch.setattr("fanlight.consumer.producer_clock.monotonic_ns", lambda: self.mono_ns)
        monkeypatch.setattr("fanlight.consumer.producer_clock.wall_ns", lambda: self.wall_ns)
        self.clock = ProducerClock(MAX_AGE, self.ask)

    @property
    def wall_ns(self) -> int:
        return WALL + self.mono_ns

    def ask(self) -> None:
        self.asked += 1

    def answer(self, ahead_ns: int) -> None:
        """The producer, whose clock is so far ahead of ours, answers in 2 ms."""
        asked_ns = self.mono_ns
        told_ns = self.wall_ns + MS + ahead_ns
        self.mono_ns += 2 * MS
        self.clock.on_reply(
            ClockReply(stream="cam", name="x", asked_ns=asked_ns, received_ns=told_ns, replied_ns=told_ns)
        )

    def frame(self, seq: int = 0, *, epoch: int = 1, age_ns: int = 10 * MS) -> None:
        self.clock.on_frame(header(seq, epoch=epoch, capture_ns=self.clock.now_ns() - age_ns))

    def asks(self, ticks: int) -> list[int]:
        """The ticks, counted from 1, with which it asks."""
        asking = []
        for tick in range(1, ticks + 1):
            before = self.asked
            self.clock.on_tick()
            asking += [tick] * (self.asked - before)
        return asking


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_until_the_producer_has_answered_its_clock_is_taken_for_ours(bench: Bench) -> None:
    assert bench.clock.now_ns() == bench.wall_ns
    assert bench.clock.offset_ns() == WALL


def test_a_clock_that_is_ahead_is_known_from_the_first_answer_on(bench: Bench) -> None:
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


def test_where_clocks_agree_a_question_now_and_then_is_enough(bench: Bench) -> None:
    assert bench.asks(20) == [1, 2, 3, 4, 5, 10, 15, 20]


def test_where_they_do_not_agree_every_second_is_a_question(bench: Bench) -> None:
    bench.answer(ahead_ns=3 * SECOND)
    assert bench.asks(20) == list(range(1, 21))


def test_another_producer_is_asked_often_at_first(bench: Bench) -> None:
    bench.asks(10)
    bench.frame(epoch=2)
    assert bench.asks(6) == [1, 2, 3, 4, 5]


def test_frames_of_an_odd_age_make_it_ask_at_once(bench: Bench) -> None:
    bench.frame()
    bench.frame(1)
    assert bench.asked == 1
    bench.frame(2, age_ns=MAX_AGE + 1)
    assert bench.asked == 2
