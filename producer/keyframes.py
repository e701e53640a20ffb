"""Decides when the next frame has to be a keyframe: several requests share one answer."""

from __future__ import annotations

import threading
from typing import Final

# The load stays bounded however many consumers send requests.
ANSWER_INTERVAL_NS: Final = 500_000_000


class KeyframeGovernor:
    """Limits the rate of requested keyframes. Thread-safe; the encoding thread calls `due`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._forced = False
        self._answered_ns: int | None = None

    def request(self) -> None:
        """A consumer requested a keyframe (PLI)."""
        with self._lock:
            self._requested = True

    def force(self) -> None:
        """A published frame was lost here, so references are broken: make the next frame a keyframe."""
        with self._lock:
            self._forced = True

    def due(self, now_ns: int) -> bool:
        """Whether the next frame has to be a keyframe; `now_ns` is monotonic.

        A request within 500 ms of the last answer stays pending until then.
        """
        with self._lock:
            early = self._answered_ns is not None and now_ns - self._answered_ns < ANSWER_INTERVAL_NS
            if not self._forced and (not self._requested or early):
                return False
            if self._requested:
                self._answered_ns = now_ns
            self._requested = self._forced = False
            return True
