from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.clock_offset import ClockOffset, ClockSample, sample

MS = 1_000_000
SECOND = 1000 * MS
HOUR = 3600 * SECOND
WALL = 1_700_000_000 * SECOND
# Delays of one way each, and how far the producer's wall clock is ahead of the consumer's.
DELAYS = st.integers(0, 50 * MS)
OFFSETS = st.integers(-HOUR, HOUR)


class Pair:
    """A consumer and a producer whose wall clocks are `offset_ns` apart; true time is the consumer's."""

    def __init__(self, offset_ns: int = 0) -> None:
        self.offset_ns = offset_ns
        self.sync = ClockOffset()
        self.monotonic_ns = 5 * SECOND
        self.wall_base_ns = WALL

    @property
    def wall_ns(self) -> int:
        return self.wall_base_ns + self.monotonic_ns

    @property
    def producer_ns(self) -> int:
        return self.wall_ns + self.offset_ns

    def exchange(self, there_ns: int, back_ns: int, thinking_ns: int = 0) -> ClockSample:
        asked_ns = self.monotonic_ns
        self.monotonic_ns += there_ns
        received_ns = self.producer_ns
        self.monotonic_ns += thinking_ns
        replied_ns = self.producer_ns
        self.monotonic_ns += back_ns
        new = sample(asked_ns, received_ns, replied_ns, self.monotonic_ns)
        assert new is not None
        self.sync.observe(new, wall_ns=self.wall_ns, monotonic_ns=self.monotonic_ns)
        self.monotonic_ns += SECOND
        return new

    @property
    def estimate_ns(self) -> int:
        """What the consumer takes for the producer's wall clock."""
        base_ns = self.sync.base_ns
        return self.wall_ns if base_ns is None else self.monotonic_ns + base_ns


@given(OFFSETS, DELAYS, DELAYS, DELAYS)
def test_the_error_is_never_above_half_the_round_trip(
    offset_ns: int, there_ns: int, back_ns: int, thinking_ns: int
) -> None:
    pair = Pair(offset_ns)
    new = pair.exchange(there_ns, back_ns, thinking_ns)
    assert abs(pair.monotonic_ns + new.base_ns - pair.producer_ns) <= new.error_ns + 1
    assert new.error_ns == (there_ns + back_ns) // 2


@given(st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=30))
def test_on_one_host_the_estimate_adds_no_error(delays: list[tuple[int, int]]) -> None:
    pair = Pair(0)
    for there_ns, back_ns in delays:
        pair.exchange(there_ns, back_ns)
        assert pair.sync.base_ns is None


@given(OFFSETS, st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=8))
def test_the_quickest_of_the_last_exchanges_counts(offset_ns: int, delays: list[tuple[int, int]]) -> None:
    pair = Pair(offset_ns)
    for there_ns, back_ns in delays:
        pair.exchange(there_ns, back_ns)
    quickest_ns = min(there_ns + back_ns for there_ns, back_ns in delays)
    # Half the round trip for the exchange, and as much again if our own clock explains it.
    assert abs(pair.estimate_ns - pair.producer_ns) <= quickest_ns + 500_002


def test_the_wall_clock_of_a_consumer_elsewhere_may_be_set_at_will() -> None:
    pair = Pair(80 * MS)
    pair.exchange(MS, MS)
    before_ns = pair.estimate_ns
    pair.wall_base_ns += HOUR
    pair.offset_ns -= HOUR
    assert pair.estimate_ns == before_ns == pair.producer_ns


def test_a_step_of_the_clock_of_one_host_is_followed_at_once() -> None:
    pair = Pair(0)
    pair.exchange(MS, MS)
    pair.wall_base_ns -= HOUR
    assert pair.estimate_ns == pair.producer_ns


def test_after_a_step_of_the_producers_clock_the_next_exchange_counts() -> None:
    pair = Pair(80 * MS)
    for _ in range(8):
        pair.exchange(MS // 10, MS // 10)
    pair.offset_ns = -HOUR
    pair.exchange(20 * MS, 10 * MS)
    assert abs(pair.estimate_ns - pair.producer_ns) <= 5 * MS


def test_an_old_exchange_is_forgotten() -> None:
    pair = Pair(80 * MS)
    quick = pair.exchange(0, 0)
    for _ in range(8):
        pair.exchange(4 * MS, 0)
    assert pair.sync.base_ns != quick.base_ns


def test_another_producer_starts_from_nothing() -> None:
    pair = Pair(80 * MS)
    pair.exchange(0, 0)
    before_ns = pair.sync.base_ns
    pair.sync.restart()
    assert pair.sync.base_ns == before_ns  # all there is, until the new one has answered
    pair.offset_ns = 81 * MS
    pair.exchange(5 * MS, 5 * MS)
    assert pair.estimate_ns == pair.producer_ns


@pytest.mark.parametrize(
    ("asked", "received", "replied", "answered"),
    [(10, 100, 100, 9), (10, 100, 99, 20), (10, 100, 120, 20)],
    ids=["answered before it asked", "replied before it received", "thought longer than it took"],
)
def test_times_that_contradict_each_other_are_left_out(
    asked: int, received: int, replied: int, answered: int
) -> None:
    assert sample(asked, received, replied, answered) is None
