"""Wakes one thread that waits; may be used in signal handlers, unlike an event or a condition."""

from __future__ import annotations

import contextlib
import threading


class Waker:
    """A binary semaphore. `wake` before `wait` is not lost; several count as one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> bool:
        """End the thread's `wait`, or else its next one. Thread-safe. Always True: it can be woken."""
        with contextlib.suppress(RuntimeError):  # already released
            self._lock.release()
        return True

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for `wake`; False on a timeout."""
        return self._lock.acquire(timeout=-1 if timeout_s is None else timeout_s)
