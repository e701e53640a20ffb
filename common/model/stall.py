"""Decides how long no frame may come before its source counts as dead. Pure."""

from __future__ import annotations

from typing import Final

_LEAST_S: Final = 3.0
_FIRST_S: Final = 10.0
_UNKNOWN_S: Final = 120.0
_INTERVALS: Final = 3
_KNOWN_FRAMES: Final = 8
# Per frame. A camera that sends ten pictures, and then none for a while, does so again.
_DECAY: Final = 0.95


class StallLimit:
    """The limit follows the source's own rate, so that a slow camera is not taken for a dead one.

    It is three intervals, of those that there were lately or of the nominal rate, and at least 3 s; 10 s
    before the first frame; and `unknown_s` until the rate is known: after eight frames, or an interval
    of 3 s. (The first few may have been buffered, and come at once.) Not thread-safe.

    Args:
        given_s: use this limit instead.
        unknown_s: two minutes where a frame that comes too late costs the source its connection.

    Attributes:
        fps: nominal rate; 0 if there is none.
    """

    def __init__(self, given_s: float | None = None, *, unknown_s: float = _UNKNOWN_S) -> None:
        self.fps = 0.0
        self._unknown_s = unknown_s
        self._given_s = given_s
        self._longest_s = 0.0
        self._last_ns: int | None = None
        self._frames = 0

    @property
    def seconds(self) -> float:
        if self._given_s is not None:
            return self._given_s
        nominal_s = _INTERVALS / self.fps if self.fps else 0.0
        if self._frames < _KNOWN_FRAMES and self._longest_s < _LEAST_S:
            return max(nominal_s, self._unknown_s if self._frames else _FIRST_S)
        return max(_LEAST_S, nominal_s, _INTERVALS * self._longest_s)

    def arrived(self, now_ns: int) -> None:
        """A frame came; times are monotonic."""
        if self._last_ns is not None:
            self._longest_s = max((now_ns - self._last_ns) / 1e9, _DECAY * self._longest_s)
        self._last_ns = now_ns
        self._frames += 1

    def stalled(self) -> None:
        """No frame came within the limit: the interval is that long at least, if there is one at all."""
        if self._frames:
            self._longest_s = max(self._longest_s, min(self.seconds, _UNKNOWN_S / _INTERVALS))
        self.reopened()

    def reopened(self) -> None:
        """The time until the next frame is no interval of the source."""
        self._last_ns = None
