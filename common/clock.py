"""The one place in `common` that reads the time; everything else is handed it.

Wall time stamps what crosses processes (`capture_ns`); monotonic time measures durations inside one
process. The two are never subtracted from each other.
"""

from __future__ import annotations

import time

wall_ns = time.time_ns
"""Nanoseconds since the Unix epoch, by this machine's wall clock."""

monotonic_ns = time.monotonic_ns
"""Nanoseconds from an arbitrary start; never steps back. On Linux the same for all processes of a host."""


def monotonic_of(unix_ns: int) -> int:
    """That moment by the monotonic clock, going by what the wall clock says now.

    What has to wait is stamped with this: its age then stays right when the wall clock is set.
    """
    return monotonic_ns() - (wall_ns() - unix_ns)
