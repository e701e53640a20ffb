"""Tells when a machine is too slow for its consumer. Pure: it is handed figures, once a second."""

from __future__ import annotations

from typing import Final, NamedTuple

# So many seconds in succession: a start, or another program's burst, is no lasting lag.
_LASTING_S: Final = 5
_SKIPPED_SHARE: Final = 0.1
# Of the time. Where a program takes long for each frame, little time goes on decoding.
_DECODING_SHARE: Final = 0.5


class Figures(NamedTuple):
    """Counted since the consumer started.

    Attributes:
        skipped: frames that were overtaken or came too late for their time.
        decoding_s: time spent decoding, in seconds.
    """

    received: int
    skipped: int
    decoding_s: float


class Lag(NamedTuple):
    """How far a machine falls behind, in frames per second."""

    shown_fps: float
    stream_fps: float


class LagDetector:
    """Not thread-safe. Says it once."""

    def __init__(self) -> None:
        self._before: tuple[Figures, float] | None = None
        self._lags = 0
        self._said = False

    def observe(self, figures: Figures, now_s: float) -> Lag | None:
        """Take the figures of another second (monotonic time); what to say now, if anything."""
        before, self._before = self._before, (figures, now_s)
        if before is None or now_s <= before[1]:
            return None
        passed_s = now_s - before[1]
        received = figures.received - before[0].received
        skipped = figures.skipped - before[0].skipped
        decoding = (figures.decoding_s - before[0].decoding_s) / passed_s
        behind = skipped > _SKIPPED_SHARE * received and decoding > _DECODING_SHARE
        self._lags = self._lags + 1 if behind else 0
        if self._lags < _LASTING_S or self._said:
            return None
        self._said = True
        return Lag((received - skipped) / passed_s, received / passed_s)
