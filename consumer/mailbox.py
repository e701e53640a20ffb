"""The way from the receiving to the presenting thread: a lock and a wait around a `Playout`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from consumer.playout import Dropped, Playout, Ready, Turn


class Mailbox:
    """Thread-safe. The receiving thread never waits here; the presenting thread waits for its turn.

    Args:
        now_ns: the clock that frames were stamped with (Unix time).
    """

    def __init__(
        self, playout: Playout, on_dropped: Callable[[Dropped], None], now_ns: Callable[[], int]
    ) -> None:
        self._playout = playout
        self._on_dropped = on_dropped
        self._now_ns = now_ns
        self._changed = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def push(self, frame: Ready) -> None:
        """Leave a frame for presentation."""
        with self._changed:
            dropped = self._playout.push(frame)
            self._changed.notify()
        for old in dropped:
            self._on_dropped(old)

    def take(self, timeout_s: float | None) -> Turn:
        """Wait until a frame is to be shown, or one is announced. Neither if time runs out or it is closed."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            with self._changed:
                if self._closed:
                    return Turn()
                turn = self._playout.take(self._now_ns())
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                over = left_s is not None and left_s <= 0
                nothing = turn.frame is None and turn.upcoming is None and not turn.dropped
                if nothing and not over:
                    # An absolute playout time, so that waking late once does not delay the next one.
                    waits = [s for s in (left_s, _seconds(turn.wait_ns)) if s is not None]
                    self._changed.wait(min(waits) if waits else None)
                    continue
            for old in turn.dropped:
                self._on_dropped(old)
            if turn.frame is not None or turn.upcoming is not None or over:
                return turn

    def close(self) -> None:
        """Wake whoever waits; nothing more will be shown."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else max(0.0, nanoseconds / 1e9)
