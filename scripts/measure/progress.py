"""A bar, and how much time is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

_WIDTH: Final = 24


class Progress:
    """Of work whose parts were estimated. On a terminal one line that changes; else one per part.

    Args:
        expected_s: what all parts are expected to take.
        show: prints a line.
    """

    def __init__(self, expected_s: float, show: Callable[[str], None]) -> None:
        self._expected_s = expected_s
        self._show = show
        self._done_s = 0.0
        self._began_s = time.monotonic()

    def show(self, what: str) -> None:
        """A part begins."""
        text = self.line(what, time.monotonic() - self._began_s)
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text}", end="", flush=True)
        else:
            self._show(text)

    def done(self, expected_s: float) -> None:
        """A part, for which so long was expected, is over."""
        self._done_s += expected_s

    def end(self) -> None:
        """All is done."""
        if sys.stdout.isatty():
            print("\r\x1b[K", end="", flush=True)

    def line(self, what: str, took_s: float) -> str:
        """The bar. What is left is put right by what the parts before have taken."""
        share = self._done_s / self._expected_s if self._expected_s else 1.0
        pace = took_s / self._done_s if self._done_s else 1.0
        left_s = (self._expected_s - self._done_s) * pace
        full = round(share * _WIDTH)
        return f"[{'#' * full}{'.' * (_WIDTH - full)}] {share:4.0%}, {_minutes(left_s)} left: {what}"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"
