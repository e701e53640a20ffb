"""The one place in `common` that reads the time; everything else is handed it.

Wall time stamps what crosses processes (`capture_ns`); monotonic time measures durations inside one
process. The two are never subtracted from each other.
"""

from __future__ import annotations

import time


def wall_ns() -> int:
    """Nanoseconds since the Unix epoch, by this machine's wall clock."""
    return time.time_ns()


def monotonic_ns() -> int:
    """Nanoseconds from an arbitrary start; never steps back."""
    return time.monotonic_ns()
