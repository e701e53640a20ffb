from __future__ import annotations

from fanlight.consumer.lag_detector import Lag, LagDetector


def reported(
    seconds: int, *, skipped: int, decoding_s: float, received: int = 30, pause_at: int | None = None
) -> list[Lag]:
    """The lags reported in so many seconds, in each of which so much happens; in one of them, nothing."""
    detector, found = LagDetector(), []
    busy = 0
    for second in range(seconds + 1):
        lag = detector.observe(received * busy, skipped * busy, decoding_s * busy, second)
        found += [] if lag is None else [lag]
        busy += second != pause_at
    return found


def test_a_machine_that_cannot_keep_up_is_reported_once() -> None:
    assert reported(60, skipped=9, decoding_s=0.9) == [Lag(21, 30)]


def test_nothing_is_reported_before_it_lasts() -> None:
    assert reported(4, skipped=9, decoding_s=0.9) == []
    assert reported(5, skipped=9, decoding_s=0.9) == [Lag(21, 30)]
    assert reported(9, skipped=9, decoding_s=0.9, pause_at=4) == [], "twice four seconds are not five"


def test_a_slow_program_is_no_slow_machine() -> None:
    assert reported(60, skipped=20, decoding_s=0.1) == []


def test_a_busy_machine_that_keeps_up_is_none() -> None:
    assert reported(60, skipped=3, decoding_s=0.95) == []


def test_a_stream_that_pauses_is_none() -> None:
    assert reported(60, received=0, skipped=0, decoding_s=0.0) == []
