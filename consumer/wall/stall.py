"""Notices a reader that stopped reading; a slow one is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_CHECKS: Final = 4


class StallTimer:
    """Calls `on_stalled` once if nothing of what is to be written is taken for `limit_s`, or little longer.

    Belongs to the event loop.

    Args:
        waiting: (pieces written so far, bytes that wait to be taken).
    """

    def __init__(
        self, waiting: Callable[[], tuple[int, int]], limit_s: float, on_stalled: Callable[[], None]
    ) -> None:
        self._waiting = waiting
        self._interval_s = limit_s / _CHECKS
        self._on_stalled = on_stalled
        self._last = (0, 0)
        self._same = 0
        self._timer = self._start()

    def cancel(self) -> None:
        """Call nothing any more."""
        self._timer.cancel()

    def _start(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._interval_s, self._check)

    def _check(self) -> None:
        now = self._waiting()
        self._same = self._same + 1 if now == self._last and now[1] else 0
        self._last = now
        if self._same < _CHECKS:
            self._timer = self._start()
        else:
            self._on_stalled()
