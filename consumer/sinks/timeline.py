"""From capture times to the timestamps of a file, which must grow whatever the clocks do. Pure."""

from __future__ import annotations

from typing import Final

MIN_STEP_NS: Final = 1_000_000
"""Matroska counts in milliseconds: two frames must not fall into one."""
MAX_STEP_NS: Final = 3_600_000_000_000
"""MP4 keeps the duration of a frame in 32 bits; a longer pause is recorded as an hour."""
_TOLERANCE_NS: Final = 2_000_000_000


class Timeline:
    """Nanoseconds since the first frame.

    The distance between two frames is that of their capture, as long as it agrees with that of their
    arrival; where it does not, a wall clock was set or another machine's clock took over, and arrival
    is believed.
    """

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._now_ns = 0

    def advance(self, capture_ns: int, arrival_ns: int) -> int:
        """The timestamp of the next frame.

        Args:
            capture_ns: Unix time, by the producer's clock; may jump.
            arrival_ns: monotonic time of this process.
        """
        if self._last is not None:
            captured_ns = capture_ns - self._last[0]
            arrived_ns = arrival_ns - self._last[1]
            trusted = abs(captured_ns - arrived_ns) <= _TOLERANCE_NS
            step_ns = captured_ns if trusted else arrived_ns
            self._now_ns += min(max(step_ns, MIN_STEP_NS), MAX_STEP_NS)
        self._last = (capture_ns, arrival_ns)
        return self._now_ns
