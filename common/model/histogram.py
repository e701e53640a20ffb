"""A cumulative histogram, as Prometheus reads it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

CODEC_BOUNDS_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.033, 0.05, 0.1, 0.25,
)  # fmt: skip
"""Upper bounds for the time that a codec takes, in seconds."""


class Distribution(NamedTuple):
    """A snapshot of a `Histogram`.

    Attributes:
        bounds: upper bounds of all buckets but the last, ascending, each inclusive.
        counts: number of values in each bucket; one entry more than `bounds`.
        total: sum of all values.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Histogram:
    """One thread may call `observe` at a time; any thread may read.

    A reader without the observer's lock may see the latest value in part only.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def snapshot(self) -> Distribution:
        """The current counts and total."""
        return Distribution(self._bounds, tuple(self._counts), self._total)
