"""The way from receiving to presenting: a lock and a wait around a `Playout`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from consumer.playout import IDLE, Arrived, Dropped, Playout, Turn


class Mailbox:
    """Thread-safe, for one thread that takes. Whoever receives never waits here.

    Args:
        now_ns: the clock that frames were stamped with (Unix time).
        wait: waits until something may have been pushed, or for so many seconds (negative: no limit).
        wake: makes it return. Thread-safe.

    Attributes:
        closed: True once nothing more will be shown.
    """

    def __init__(
        self,
        playout: Playout,
        on_dropped: Callable[[Dropped], None],
        now_ns: Callable[[], int],
        wait: Callable[[float], None],
        wake: Callable[[], None],
    ) -> None:
        self._playout = playout
        self._on_dropped = on_dropped
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._wait = wait
        self._wake = wake
        # True while nothing can be due: nothing is there, and nothing has been pushed since.
        self._idle = True
        self.closed = False

    @property
    def held(self) -> int:
        """How many frames wait for their turn."""
        with self._lock:
            return len(self._playout)

    def push(self, arrived: Arrived) -> bool:
        """Leave a frame for presentation. False if nothing can be shown before the next keyframe."""
        with self._lock:
            pushed = self._playout.push(arrived)
            self._idle = False
        for old in pushed.dropped:
            self._on_dropped(old)
        return not pushed.broken

    def take(self, timeout_s: float | None) -> Turn:
        """Wait until there is something to do. The turn is empty if time runs out or it is closed."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.closed:
            turn = IDLE
            if not self._idle:
                with self._lock:
                    turn = self._playout.take(self._now_ns())
                    self._idle = turn is IDLE
                for old in turn.dropped:
                    self._on_dropped(old)
                if turn.frame or turn.upcoming or turn.ahead or turn.decode:
                    return turn
            # An absolute playout time, so that waking late once does not delay the next one.
            wait_s = -1.0 if turn.wait_ns is None else max(0.0, turn.wait_ns / 1e9)
            if deadline_s is not None:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return turn
                wait_s = left_s if wait_s < 0 else min(wait_s, left_s)
            self._wait(wait_s)
        return Turn()

    def close(self) -> None:
        """Wake whoever waits; nothing more will be shown."""
        self.closed = True
        self._wake()
