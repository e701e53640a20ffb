"""Estimates the producer's wall clock in a consumer, as NTP does. Pure: every time is an argument.

A consumer sends a request at a known monotonic time; the reply contains the producer's wall clock at
receipt and at reply (RFC 5905, section 8: offset from four time stamps). Half the round trip bounds the
error, so the exchange with the shortest round trip among the last ones is used. If the two wall clocks
agree within that error, no offset is applied: on one host they are the same clock, and an estimate would
only add its error.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

# Number of exchanges that are compared. At one a second this is also their greatest age in seconds.
_SAMPLES_KEPT: Final = 8
# Allowed difference between two exchanges beyond their errors: clocks drift by up to 100 ppm.
_TOLERANCE_NS: Final = 500_000


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One exchange.

    Attributes:
        base_ns: added to this consumer's monotonic time, gives the producer's wall clock.
        error_ns: upper bound of the error of `base_ns`.
    """

    base_ns: int
    error_ns: int

    def agrees(self, other: ClockSample) -> bool:
        """True if both can be correct within their errors."""
        return abs(self.base_ns - other.base_ns) <= self.error_ns + other.error_ns + _TOLERANCE_NS


def sample(asked_ns: int, received_ns: int, replied_ns: int, answered_ns: int) -> ClockSample | None:
    """Evaluate one exchange; None if the times contradict each other.

    Args:
        asked_ns: the consumer's monotonic time when the request was sent.
        received_ns: the producer's wall clock when the request arrived.
        replied_ns: the producer's wall clock when the reply was sent.
        answered_ns: the consumer's monotonic time when the reply arrived.
    """
    trip_ns = (answered_ns - asked_ns) - (replied_ns - received_ns)
    if answered_ns < asked_ns or replied_ns < received_ns or trip_ns < 0:
        return None
    base_ns = ((received_ns - asked_ns) + (replied_ns - answered_ns)) // 2
    return ClockSample(base_ns, trip_ns // 2)


class ClockOffset:
    """The producer's clock according to the best of the latest exchanges.

    `observe` and `restart` must be called by one thread; `base_ns` may be read by any thread.

    Attributes:
        base_ns: added to this consumer's monotonic time, gives the producer's wall clock. None before the
            first exchange, and if both wall clocks agree: use this host's wall clock.
    """

    def __init__(self) -> None:
        self._samples: deque[ClockSample] = deque(maxlen=_SAMPLES_KEPT)
        # An attribute rather than a property: it is read several times per frame.
        self.base_ns: int | None = None

    def observe(self, new: ClockSample, *, wall_ns: int, monotonic_ns: int) -> None:
        """Take one exchange into account. The times are this consumer's current ones."""
        # A disagreement means that a clock was set: the earlier samples are invalid.
        if not all(new.agrees(old) for old in self._samples):
            self._samples.clear()
        self._samples.append(new)
        best = min(self._samples, key=lambda each: each.error_ns)
        own = ClockSample(wall_ns - monotonic_ns, error_ns=0)
        self.base_ns = None if best.agrees(own) else best.base_ns

    def restart(self) -> None:
        """Discard the samples after a change of producer. `base_ns` stays until the next reply."""
        self._samples.clear()
