"""A rate limiter for repeated messages. Pure."""

from __future__ import annotations


class RateLimiter:
    """Allows one call per interval and counts the suppressed ones."""

    def __init__(self, interval_ns: int = 1_000_000_000) -> None:
        self._interval_ns = interval_ns
        self._last_ns: int | None = None
        self._held_back = 0

    def allow(self, now_ns: int) -> int | None:
        """None if the call is suppressed, else how many were suppressed since the last allowed one."""
        if self._last_ns is not None and now_ns - self._last_ns < self._interval_ns:
            self._held_back += 1
            return None
        held_back, self._held_back = self._held_back, 0
        self._last_ns = now_ns
        return held_back
