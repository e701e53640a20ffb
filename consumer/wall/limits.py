"""Limits on what clients may do, and how often. Pure; times are monotonic."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

# Wrong tokens: at once, and then one in so many seconds. With 16 random characters nobody guesses one;
# with a word as a token, the first thousand words take an address three hours.
ATTEMPTS_AT_ONCE: Final = 10
ATTEMPT_INTERVAL_S: Final = 10
# From all addresses together: proxies and networks hide many people behind one.
ATTEMPTS_AT_ONCE_IN_TOTAL: Final = 100
ATTEMPTS_PER_S_IN_TOTAL: Final = 5
_MOST_ADDRESSES: Final = 1024


class Refused(StrEnum):
    """Why a request or a connection was refused or ended."""

    HOST = "host"
    ORIGIN = "origin"
    TOKEN = "token"  # noqa: S105
    ATTEMPTS = "attempts"
    MALFORMED = "malformed"
    REQUESTS = "requests"
    CONNECTIONS = "connections"
    """One too many."""
    EVICTED = "evicted"
    """It had no request, and another connection needed its place."""
    OVERDUE = "overdue"
    """No request came in time, not even the first one."""
    FLOODED = "flooded"
    """It sent too much."""


class Allowance:
    """A token bucket: so many at once, and so many per second."""

    __slots__ = ("_at_ns", "_at_once", "_left", "_per_s")

    def __init__(self, at_once: float, per_s: float, now_ns: int) -> None:
        self._at_once = self._left = float(at_once)
        self._per_s = per_s
        self._at_ns = now_ns

    def left(self, now_ns: int) -> float:
        """How many are allowed at once now; below 1 none is."""
        self._left = min(self._at_once, self._left + max(0, now_ns - self._at_ns) * self._per_s / 1e9)
        self._at_ns = now_ns
        return self._left

    def take(self, now_ns: int, many: float = 1) -> bool:
        """Take so many if they are allowed; else take none and return False."""
        if self.left(now_ns) < many:
            return False
        self._left -= many
        return True


class Allowances:
    """One for each address. Memory is bounded: that of the latest addresses is kept.

    Args:
        at_once, per_s: see `Allowance`.
    """

    def __init__(self, at_once: float, per_s: float) -> None:
        self._at_once = at_once
        self._per_s = per_s
        self._of: dict[str, Allowance] = {}

    def of(self, address: str, now_ns: int) -> Allowance:
        found = self._of.pop(address, None) or Allowance(self._at_once, self._per_s, now_ns)
        self._of[address] = found  # the latest is last
        if len(self._of) > _MOST_ADDRESSES:
            del self._of[next(iter(self._of))]
        return found


class AttemptLimiter:
    """Limits wrong tokens, by address and in total."""

    def __init__(self, now_ns: int) -> None:
        self._total = Allowance(ATTEMPTS_AT_ONCE_IN_TOTAL, ATTEMPTS_PER_S_IN_TOTAL, now_ns)
        self._by_address = Allowances(ATTEMPTS_AT_ONCE, 1 / ATTEMPT_INTERVAL_S)

    def allows(self, address: str, now_ns: int) -> bool:
        """Whether a token from there may be compared now."""
        return self._total.left(now_ns) >= 1 and self._by_address.of(address, now_ns).left(now_ns) >= 1

    def failed(self, address: str, now_ns: int) -> None:
        """A token from there was wrong."""
        self._total.take(now_ns)
        self._by_address.of(address, now_ns).take(now_ns)
