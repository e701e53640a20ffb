"""Count often, speak seldom: keeps a repeated message to one line per interval."""

from __future__ import annotations


class RateLimiter:
    """Says when a line may be logged, and how many were held back since the last one."""

    def __init__(self, interval_ns: int = 1_000_000_000) -> None:
        self._interval_ns = interval_ns
        self._last_ns: int | None = None
        self._held_back = 0

    def allow(self, now_ns: int) -> int | None:
        """None if it is too early; else how many earlier calls were held back."""
        if self._last_ns is not None and now_ns - self._last_ns < self._interval_ns:
            self._held_back += 1
            return None
        held_back, self._held_back = self._held_back, 0
        self._last_ns = now_ns
        return held_back
