from __future__ import annotations

from fanlight.consumer.presence import ProducerPresence

SECOND = 1_000_000_000


class Bench:
    """A producer that may be silent for 3 s, observed."""

    def __init__(self) -> None:
        self.presence = ProducerPresence()

    def away_s(self, now_s: int, received: int, presented_s: int | None = None) -> float | None:
        presented_ns = None if presented_s is None else presented_s * SECOND
        return self.presence.observe(received, presented_ns, now_s * SECOND, 3)


def test_before_the_first_sign_nobody_is_there() -> None:
    bench = Bench()
    assert [bench.away_s(now_s, 0) for now_s in (100, 101, 105)] == [0, 1, 5]


def test_frames_and_answers_are_signs_and_a_silent_producer_is_away_after_a_while() -> None:
    bench = Bench()
    assert [bench.away_s(now_s, 1) for now_s in (0, 3, 4)] == [None, None, 4]
    bench.presence.sign(5 * SECOND)
    assert [bench.away_s(now_s, 1) for now_s in (6, 9)] == [None, 4]
    assert [bench.away_s(now_s, 2) for now_s in (10, 13)] == [None, 4], "it may have come at 9"


def test_when_a_frame_was_presented_is_known() -> None:
    assert Bench().away_s(60, 9, presented_s=50) == 10
    bench = Bench()
    bench.away_s(0, 1, presented_s=0)
    assert bench.away_s(60, 9, presented_s=58) is None


def test_one_that_has_ended_is_away_at_once_and_until_the_next_sign() -> None:
    bench = Bench()
    bench.away_s(0, 7)
    for now_s in (1, 2):
        bench.presence.ended(9, now_s * SECOND)
    assert bench.away_s(2, 9) == 1, "since it was said first"
    assert bench.presence.has_ended
    assert bench.away_s(2, 10) is None
    assert not Bench().presence.has_ended
