from __future__ import annotations

import pytest

from fanlight.common.model.lag_detector import Lag, LagDetector


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
    assert reported(2, skipped=9, decoding_s=0.9) == []
    assert reported(3, skipped=9, decoding_s=0.9) == [Lag(21, 30)]
    assert reported(5, skipped=9, decoding_s=0.9, pause_at=2) == [], "twice two seconds are not three"


@pytest.mark.parametrize(
    ("received", "skipped", "decoding_s"),
    [(30, 20, 0.1), (30, 3, 0.95), (0, 0, 0.0)],
    ids=["a slow program", "a busy machine that keeps up", "a stream that pauses"],
)
def test_other_states_are_not_reported(received: int, skipped: int, decoding_s: float) -> None:
    assert reported(60, received=received, skipped=skipped, decoding_s=decoding_s) == []
