"""Detects that nothing comes through, and that it does again. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

# Called once a second or every two seconds, it reports within 5 s.
_FIRST_NS: Final = 3_900_000_000
_INTERVAL_NS: Final = 4_900_000_000
_OFTEN: Final = 6
_LONGEST_NS: Final = 300_000_000_000


class Stall(NamedTuple):
    """How long nothing has come through; `over` if something does again."""

    seconds: float
    over: bool


class StallDetector:
    """Observes a counter of what comes through. Not thread-safe.

    Reports a stall within 5 s, then every 5 s, after half a minute ever more seldom, and its end once.
    """

    def __init__(self) -> None:
        self._count: int | None = None
        self._since_ns = 0
        self._reports = 0
        self._next_ns = 0

    def restart(self) -> None:
        """What was so far does not count: for instance, there was no connection."""
        self._count = None
        self._reports = 0

    def observe(self, count: int, now_ns: int, patience_ns: int = 0) -> Stall | None:
        """To be called every second or two; returns what is to be reported now.

        Args:
            count: total of what came through.
            patience_ns: a pause of up to this time is usual.
        """
        if count != self._count:
            over = Stall((now_ns - self._since_ns) / 1e9, over=True) if self._reports else None
            self._count, self._since_ns, self._reports = count, now_ns, 0
            self._next_ns = now_ns + _FIRST_NS
            return over
        if now_ns < max(self._next_ns, self._since_ns + patience_ns):
            return None
        self._reports += 1
        longer_ns = _INTERVAL_NS << max(0, min(self._reports - _OFTEN, 10))
        self._next_ns = now_ns + min(longer_ns, _LONGEST_NS)
        return Stall((now_ns - self._since_ns) / 1e9, over=False)


def grown_most(before: object, now: object, counters: Iterable[str]) -> str | None:
    """Which of these attributes has grown most between two snapshots; None if none has."""
    growth = {name: getattr(now, name) - getattr(before, name) for name in counters}
    most = max(growth, key=lambda name: growth[name])
    return most if growth[most] else None
