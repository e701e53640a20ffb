"""Percentiles, sliding windows and jitter. Pure: time is an argument."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

from fanlight.common.model.stall import StallLimit


def percentile(values: Iterable[float], fraction: float) -> float | None:
    """The nearest-rank percentile; None if there are no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = math.ceil(fraction * len(ordered) - 1e-9)  # 0.07 * 100 is a little more than 7
    return ordered[min(max(rank, 1), len(ordered)) - 1]


class Window:
    """The values of the last `span_ns`, at most `capacity` of them.

    Args:
        stall: the window is as long as this limit where that is longer, so that it holds some values of a
            slow stream too.
    """

    def __init__(
        self, span_ns: int = 5_000_000_000, capacity: int = 2000, stall: StallLimit | None = None
    ) -> None:
        self._least_ns = span_ns
        self._stall = stall
        self._values: deque[tuple[int, float]] = deque(maxlen=capacity)

    def add(self, value: float, now_ns: int) -> None:
        span_ns = self._span_ns
        while self._values and now_ns - self._values[0][0] > span_ns:
            self._values.popleft()
        self._values.append((now_ns, value))

    def values(self, now_ns: int) -> list[float]:
        """The values in the window at `now_ns`, oldest first."""
        return [value for _, value in self._left(now_ns)]

    def rate(self, now_ns: int) -> float:
        """Values per second over the window, or since the first value while the window is not full."""
        left = self._left(now_ns)
        if len(left) < 2:
            return 0.0
        return (len(left) - 1) / max((now_ns - left[0][0]) / 1e9, 1e-9)

    def _left(self, now_ns: int) -> list[tuple[int, float]]:
        span_ns = self._span_ns
        return [entry for entry in self._values if now_ns - entry[0] <= span_ns]

    @property
    def _span_ns(self) -> int:
        return max(self._least_ns, int(self._stall.seconds * 1e9) if self._stall else 0)


# A larger change of the transit time is no network delay: a wall clock was set.
_STEP_NS: Final = 10_000_000_000


class Jitter:
    """Interarrival jitter after RFC 3550, section 6.4.1, in nanoseconds.

    Transit times are differences between the clocks of two machines. Only changes of the transit time are
    used, so the offset between the clocks cancels out.
    """

    def __init__(self) -> None:
        self._transit_ns: int | None = None
        self.value_ns = 0.0

    def observe(self, capture_ns: int, arrival_ns: int) -> None:
        transit_ns = arrival_ns - capture_ns
        if self._transit_ns is not None:
            change_ns = abs(transit_ns - self._transit_ns)
            if change_ns < _STEP_NS:
                self.value_ns += (change_ns - self.value_ns) / 16
        self._transit_ns = transit_ns

    def restart(self) -> None:
        """Discard the last transit time: the next frame is from another clock or after a pause."""
        self._transit_ns = None
