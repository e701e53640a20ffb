"""A loop that its own thread runs, or the thread that waits for what it brings; never both at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final

# Pollers count in whole milliseconds.
_POLL_STEP_S: Final = 0.001
FOR_GOOD: Final = float("inf")


class LentLoop:
    """Turns of one event loop, given to whoever needs them. Owned by the loop's own thread.

    A thread that waits for messages anyway saves one wake-up and one change of threads for each of them by
    running the loop itself (`work`).

    Args:
        run_once: one turn: wait for so many seconds at most (`FOR_GOOD`: no limit), handle what has come.
        wake: make a turn that waits return. Thread-safe.
        away_s: how long a thread that works in the loop's stead may be elsewhere before the loop's own goes
            on: what arrives meanwhile lies in the socket, and grows stale.

    Attributes:
        lendable: False while only its own thread may run the loop; `work` waits then.
        finished: True once there is nothing more to run.
    """

    def __init__(
        self,
        run_once: Callable[[float], None],
        wake: Callable[[], None],
        *,
        away_s: float,
        lendable: bool = True,
    ) -> None:
        self._run_once = run_once
        self._wake = wake
        self._away_s = away_s
        self.lendable = lendable
        self.finished = False
        # Whoever runs the loop holds `_turn`. While it is lent, its own thread waits for `_recall`.
        self._turn = threading.Lock()
        self._recall, self._pause = threading.Lock(), threading.Lock()
        self._recall.acquire()
        self._pause.acquire()
        self._lent = self._closing = False
        self._left_s = FOR_GOOD

    def prepare(self) -> None:
        """Before its own thread starts: nobody else works before that has called `begin`."""
        self._turn.acquire()

    def begin(self) -> None:
        """Its own thread has set up."""
        self._turn.release()

    def own_turn(self) -> None:
        """One turn in the loop's own thread; waits while the loop is lent."""
        while self._lent and not self.finished:
            if time.monotonic() - self._left_s > self._away_s:
                self._lent = False
            else:
                self._recall.acquire(timeout=self._away_s)
        with self._turn:
            if not self._lent and not self.finished:
                self._run_once(FOR_GOOD)

    def alone(self) -> threading.Lock:
        """Held by whoever runs the loop: nobody does while it is held."""
        return self._turn

    def work(self, timeout_s: float) -> None:
        """One turn in the calling thread, in the stead of the loop's own. For one thread at a time.

        Args:
            timeout_s: return after this time at the latest; negative: no limit.
        """
        if self._closing or self.finished:
            return
        if 0 < timeout_s < _POLL_STEP_S or not self.lendable:
            self._pause.acquire(timeout=timeout_s if timeout_s >= 0 else -1)
            return
        self._left_s = FOR_GOOD  # first of all, lest its own thread takes this one for being elsewhere
        taken_over = not self._lent
        if taken_over:
            self._lent = True
            self._wake()  # its own thread lets go
            # What it did in its last turn, the caller has not seen: it is to look before it waits.
            timeout_s = 0.0
        if not self._turn.acquire(blocking=False):
            if not taken_over:  # its own thread found this one missing at this very moment
                self._lent = True
                self._wake()
            self._turn.acquire()
        try:
            if not self.finished and self.lendable:
                self._run_once(FOR_GOOD if timeout_s < 0 else timeout_s // _POLL_STEP_S * _POLL_STEP_S)
        finally:
            self._turn.release()
            self._left_s = time.monotonic()

    def rouse(self) -> None:
        """Make a `work` return that waits since the loop is not lendable. Thread-safe."""
        with contextlib.suppress(RuntimeError):  # roused already
            self._pause.release()

    def take_back(self) -> None:
        """Let its own thread go on at once. Thread-safe."""
        self._lent = False
        with contextlib.suppress(RuntimeError):  # recalled already
            self._recall.release()

    def close(self) -> None:
        """Lend no more, and let its own thread see to the end. Thread-safe."""
        self._closing = True
        self.take_back()
        self.rouse()

    def finish(self) -> None:
        """Nothing more is to be run."""
        self.finished = True
        self.take_back()
        self.rouse()
