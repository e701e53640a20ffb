"""The producer's wall clock, as seen from a consumer: an NTP-style estimate. Pure: every time is handed in.

A consumer notes its monotonic time, asks, and gets back the producer's wall clock at receipt and at reply
(RFC 5905, section 8: offset from four time stamps). Half the round trip bounds the error, so of the last
exchanges the quickest counts. Where the two wall clocks may agree, they are taken to agree: on one host
they are the same clock, and an estimate would only add its error.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

# Exchanges that are compared; at one a second they are that many seconds old at most.
_SAMPLES_KEPT: Final = 8
# Two clocks drift apart by up to 100 ppm; what else may differ between two exchanges.
_TOLERANCE_NS: Final = 500_000


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One exchange.

    Attributes:
        base_ns: what to add to this consumer's monotonic time to get the producer's wall clock.
        error_ns: at most so far off.
    """

    base_ns: int
    error_ns: int

    def agrees(self, other: ClockSample) -> bool:
        """True if both may be right."""
        return abs(self.base_ns - other.base_ns) <= self.error_ns + other.error_ns + _TOLERANCE_NS


def sample(asked_ns: int, received_ns: int, replied_ns: int, answered_ns: int) -> ClockSample | None:
    """Work out one exchange; None if the times contradict each other.

    Args:
        asked_ns: the consumer's monotonic time when it asked.
        received_ns: the producer's wall clock when the question arrived.
        replied_ns: the producer's wall clock when it answered.
        answered_ns: the consumer's monotonic time when the answer arrived.
    """
    trip_ns = (answered_ns - asked_ns) - (replied_ns - received_ns)
    if answered_ns < asked_ns or replied_ns < received_ns or trip_ns < 0:
        return None
    base_ns = ((received_ns - asked_ns) + (replied_ns - answered_ns)) // 2
    return ClockSample(base_ns, trip_ns // 2)


class ClockOffset:
    """The producer's clock by the best of the latest exchanges; until the first one, this host's own.

    `observe` and `restart` belong to one thread; `base_ns` may be read by any.

    Attributes:
        base_ns: what to add to this consumer's monotonic time to get the producer's wall clock; None if
            that is the consumer's own, or was never asked for.
    """

    def __init__(self) -> None:
        self._samples: deque[ClockSample] = deque(maxlen=_SAMPLES_KEPT)
        # An attribute and no property: it is read several times for every frame.
        self.base_ns: int | None = None

    def observe(self, new: ClockSample, *, wall_ns: int, monotonic_ns: int) -> None:
        """Take one exchange into account; the times are this consumer's, now."""
        # A clock was set: what was learnt before is wrong.
        if not all(new.agrees(old) for old in self._samples):
            self._samples.clear()
        self._samples.append(new)
        best = min(self._samples, key=lambda each: each.error_ns)
        own = ClockSample(wall_ns - monotonic_ns, error_ns=0)
        self.base_ns = None if best.agrees(own) else best.base_ns

    def restart(self) -> None:
        """Forget the clock of a producer that was left; go by it until the next one has answered."""
        self._samples.clear()
