"""The wall clock and the monotonic clock.

Wall-clock time is used for values that cross processes (`capture_ns`), monotonic time for durations within
one process. A value is converted from one to the other by the difference of the two clocks at that moment:
here (`monotonic_of`), and where a consumer learns the producer's clock (`consumer/producer_clock.py`).
"""

from __future__ import annotations

import time

wall_ns = time.time_ns
"""Nanoseconds since the Unix epoch, by this machine's wall clock."""

monotonic_ns = time.monotonic_ns
"""Nanoseconds from an arbitrary start; never steps back. On Linux the same for all processes of a host."""


def monotonic_of(unix_ns: int) -> int:
    """Convert Unix time to monotonic time, by the current difference between the two clocks.

    The age of a queued frame is computed from this value, which stays right when the wall clock is set.
    """
    return monotonic_ns() - (wall_ns() - unix_ns)
