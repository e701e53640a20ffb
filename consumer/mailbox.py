"""Passes frames from the receiving to the presenting thread: a lock and a wait around a `Playout`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final

from fanlight.consumer.playout import IDLE, Dropped, Playout, PlayoutStep, ReceivedFrame

# The producer's clock may be corrected during a wait, so the playout time is computed anew after this.
_LONGEST_WAIT_S: Final = 0.1


class Mailbox:
    """Thread-safe, for one thread that calls `take`. `push` never waits.

    Args:
        on_dropped: called with each dropped frame, without the lock.
        now_ns: the clock that frames were stamped with (Unix time).

    Attributes:
        closed: True once no more frames will be presented.
    """

    def __init__(
        self, playout: Playout, on_dropped: Callable[[Dropped], None], now_ns: Callable[[], int]
    ) -> None:
        self._playout = playout
        self._on_dropped = on_dropped
        self._now_ns = now_ns
        self._lock = threading.Lock()
        # Released to wake the thread that takes: a binary semaphore, cheaper than a condition.
        self._waker = threading.Lock()
        self._waker.acquire()
        # True while there is no frame, so that only `push` can change anything.
        self._idle = True
        self._waiting = self._interrupted = False
        self.closed = False

    def __len__(self) -> int:
        """The number of frames that wait until they are due."""
        with self._lock:
            return len(self._playout)

    def push(self, frame: ReceivedFrame) -> bool:
        """Queue a frame. False if no frame can be shown before the next keyframe."""
        with self._lock:
            pushed = self._playout.push(frame)
            # No wake-up while the presenting thread waits for an earlier frame.
            wakes, self._idle = self._idle or self._playout.eager, False
        if wakes:
            self._wake()
        for old in pushed.dropped:
            self._on_dropped(old)
        return not pushed.broken

    def changed(self) -> None:
        """Something that the playout depends on has changed: `take` is to look again."""
        if not self._idle:  # `push` wakes it
            self._wake()

    def take(self, timeout_s: float) -> PlayoutStep:
        """Wait until there is something to do. The step is empty on a timeout or when closed."""
        deadline_s = time.monotonic() + timeout_s
        while not self.closed:
            step = IDLE
            if not self._idle:
                with self._lock:
                    step = self._playout.take(self._now_ns())
                    self._idle = step is IDLE
                for old in step.dropped:
                    self._on_dropped(old)
                if step.frame or step.prepare or step.decode_ahead or step.decode:
                    return step
                if step.dropped and step.wait_ns is None:
                    return step  # so that a member of a pool asks for another one
            if self._interrupted and step is IDLE:
                self._interrupted = False
                return step
            wait_s = deadline_s - time.monotonic()
            if wait_s <= 0:
                return step
            if step.wait_ns is not None:
                # An absolute playout time, so that waking late once does not delay the next one.
                wait_s = min(wait_s, max(0.0, step.wait_ns / 1e9), _LONGEST_WAIT_S)
            elif step is not IDLE:
                continue
            self._waiting = True
            self._waker.acquire(timeout=wait_s)
            self._waiting = False
        return PlayoutStep()

    def waited(self) -> bool:
        """Whether an exception has ended `take` while it waited, so that nothing was taken. True once."""
        waited, self._waiting = self._waiting, False
        return waited

    def clear(self) -> None:
        """Drop all frames: no frame can be shown before the next keyframe."""
        with self._lock:
            dropped = self._playout.clear()
        for old in dropped:
            self._on_dropped(old)

    def interrupt(self) -> None:
        """Let `take` return, once, as soon as no frame is left."""
        self._interrupted = True
        self._wake()

    def close(self) -> None:
        """Stop presenting, and wake the thread in `take`."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # already released
            self._waker.release()
