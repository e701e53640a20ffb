"""Decides when the next frame has to be a keyframe: several requests share one answer."""

from __future__ import annotations

import threading
from typing import Final

# DESIGN, section 3: at most one answer per 500 ms, however many consumers ask.
ANSWER_INTERVAL_NS: Final = 500_000_000


class KeyframeGovernor:
    """Thread-safe. Requests come from any thread; the encoding thread asks before each frame."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._forced = False
        self._answered_ns: int | None = None

    def request(self) -> None:
        """A consumer asked (PLI)."""
        with self._lock:
            self._requested = True

    def force(self) -> None:
        """The producer itself broke the chain of references: the next frame is a keyframe."""
        with self._lock:
            self._forced = True

    def due(self, now_ns: int) -> bool:
        """True if the frame about to be encoded has to be a keyframe; `now_ns` is monotonic.

        A request that comes too soon after the last answer is kept until its time.
        """
        with self._lock:
            early = self._answered_ns is not None and now_ns - self._answered_ns < ANSWER_INTERVAL_NS
            if not self._forced and (not self._requested or early):
                return False
            if self._requested:
                self._answered_ns = now_ns
            self._requested = self._forced = False
            return True
