"""What a consumer presented, read from its trace while it is written."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Presented:
    """One frame that was shown.

    Attributes:
        at_s: when, by a clock that was never set.
        age_s: how old it really was.
    """

    seq: int
    at_s: float
    age_s: float


def presented(trace: Path, now_s: float) -> list[Presented]:
    """The frames that were shown, in order.

    Wall clocks may have been set by whole hours: all that happens here takes less than half of one, so a
    whole number of hours can be recognised and subtracted.

    Args:
        now_s: Unix time by a clock that was not set.
    """
    if not trace.exists():
        return []
    text = trace.read_text()
    found = []
    for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
        if row["event"] == "presented":
            shown_ns = int(row["presented_ns"])
            age_ns = _within_half(shown_ns - int(row["capture_ns"]))
            at_s = now_s + _within_half(shown_ns - int(now_s * 1e9)) / 1e9
            found.append(Presented(int(row["seq"]), at_s, age_ns / 1e9))
    return found


def longest_pause_s(frames: list[Presented], since_s: float) -> float:
    """The longest time without a frame from then on, up to the last one."""
    times = [since_s, *(frame.at_s for frame in frames if frame.at_s > since_s)]
    return max((later - earlier for earlier, later in pairwise(times)), default=float("inf"))


def _within_half(duration_ns: int) -> int:
    """Whole hours taken away: what is left is between minus and plus half an hour."""
    return (duration_ns + _HOUR_NS // 2) % _HOUR_NS - _HOUR_NS // 2
