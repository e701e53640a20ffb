"""When to say that nothing comes through, and that it does again. Pure: time is an argument."""

from __future__ import annotations

from typing import Final, NamedTuple

# Called once a second or every two seconds, it speaks within 5 s.
_FIRST_NS: Final = 3_900_000_000
_INTERVAL_NS: Final = 4_900_000_000
_OFTEN: Final = 6
_LONGEST_NS: Final = 300_000_000_000


class Silence(NamedTuple):
    """How long nothing has come through; `over` if something does again."""

    seconds: float
    over: bool


class SilenceWatch:
    """Watches a counter of what comes through. Not thread-safe.

    Speaks within 5 s, then every 5 s, after half a minute ever more seldom, and once when it is over.
    """

    def __init__(self) -> None:
        self._count: int | None = None
        self._since_ns = 0
        self._said = 0
        self._next_ns = 0

    def restart(self) -> None:
        """What was so far does not count: for instance, there was no connection."""
        self._count = None
        self._said = 0

    def observe(self, count: int, now_ns: int, patience_ns: int = 0) -> Silence | None:
        """To be called every second or two; returns what is to be said now.

        Args:
            count: total of what came through.
            patience_ns: a silence of up to this time is usual.
        """
        if count != self._count:
            over = Silence((now_ns - self._since_ns) / 1e9, over=True) if self._said else None
            self._count, self._since_ns, self._said = count, now_ns, 0
            self._next_ns = now_ns + _FIRST_NS
            return over
        if now_ns < max(self._next_ns, self._since_ns + patience_ns):
            return None
        self._said += 1
        longer_ns = _INTERVAL_NS << max(0, min(self._said - _OFTEN, 10))
        self._next_ns = now_ns + min(longer_ns, _LONGEST_NS)
        return Silence((now_ns - self._since_ns) / 1e9, over=False)
