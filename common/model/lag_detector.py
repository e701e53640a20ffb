"""Detects that a machine is too slow for a consumer or producer. Pure: called once a second."""

from __future__ import annotations

from typing import Final, NamedTuple

# Consecutive seconds: a start, or a burst of another program, does not count.
_LASTING_S: Final = 3
_SKIPPED_PART: Final = 0.1
# Fraction of the time. It is low if the program or the network, not the codec, is slow.
_CODEC_PART: Final = 0.5


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

    def observe(self, received: int, skipped: int, codec_s: float, now_s: float) -> Lag | None:
        """Add the counters of the last second; returns the lag once it is to be reported.

        Args:
            received: total of frames or pictures that came.
            skipped: total of those that were superseded or late.
            codec_s: total time spent decoding or encoding.
            now_s: monotonic.
        """
        before, self._before = self._before, (received, skipped, codec_s, now_s)
        if before is None or now_s <= before[3]:
            return None
        passed_s = now_s - before[3]
        received -= before[0]
        skipped -= before[1]
        lags = skipped > _SKIPPED_PART * received and codec_s - before[2] > _CODEC_PART * passed_s
        self._lags = self._lags + 1 if lags else 0
        if self._lags < _LASTING_S or self._reported:
            return None
        self._reported = True
        return Lag((received - skipped) / passed_s, received / passed_s)
