"""Detects that a machine is too slow for its consumer. Pure: it is handed figures, once a second."""

from __future__ import annotations

from typing import Final, NamedTuple

# So many seconds in succession: a start, or another program's burst, is no lasting lag.
_LASTING_S: Final = 5
_SKIPPED_PART: Final = 0.1
# Of the time. Where a program takes long for each frame, little time goes on decoding.
_DECODING_PART: Final = 0.5


class Lag(NamedTuple):
    """How far a machine falls behind, in frames per second."""

    shown_fps: float
    stream_fps: float


class LagDetector:
    """Reports a lag once. Not thread-safe."""

    def __init__(self) -> None:
        self._before: tuple[int, int, float, float] | None = None
        self._lags = 0
        self._reported = False

    def observe(self, received: int, skipped: int, decoding_s: float, now_s: float) -> Lag | None:
        """Take the figures of another second; the lag, if it is to be reported now.

        Args:
            received: frames since the consumer started.
            skipped: those of them that were overtaken or came too late for their time.
            decoding_s: time spent decoding, likewise.
            now_s: monotonic.
        """
        before, self._before = self._before, (received, skipped, decoding_s, now_s)
        if before is None or now_s <= before[3]:
            return None
        passed_s = now_s - before[3]
        received -= before[0]
        skipped -= before[1]
        lags = skipped > _SKIPPED_PART * received and decoding_s - before[2] > _DECODING_PART * passed_s
        self._lags = self._lags + 1 if lags else 0
        if self._lags < _LASTING_S or self._reported:
            return None
        self._reported = True
        return Lag((received - skipped) / passed_s, received / passed_s)
