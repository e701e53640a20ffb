"""Reads the traces that consumers write, ours and the peers', and works out the figures.

A trace is CSV: `seq,capture_ns,received_ns,presented_ns,event`, and `meta` in ours (docs/reference.md); a
frame that was not presented has no `presented_ns`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fanlight.common.model.stats import percentile

_EDGE: Final = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame that one consumer presented; times are Unix ns by that consumer's clock."""

    seq: int
    capture_ns: int
    presented_ns: int

    @property
    def age_ms(self) -> float:
        return (self.presented_ns - self.capture_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Figures:
    """What the traces of one run say.

    Attributes:
        fps: presented frames per second, one number per consumer.
        age_ms: p50, p99 and maximum age at presentation, over all frames of all consumers.
        skew_ms: p50 and p99 of the spread (latest minus earliest) with which consumers presented one frame.
        off_median_ms: p50 and p99 of each presentation's distance from the median of its frame.
    """

    fps: tuple[float, ...]
    age_ms: tuple[float, float, float]
    skew_ms: tuple[float, float]
    off_median_ms: tuple[float, float]


def read(path: Path, offset_ns: int = 0) -> list[Shown]:
    """The presented frames of a trace; `offset_ns` is taken off its presentation times."""
    shown = []
    for line in path.read_text().splitlines()[1:]:
        fields = line.split(",", 5)
        if len(fields) >= 5 and fields[4] == "presented":
            shown.append(Shown(int(fields[0]), int(fields[1]), int(fields[3]) - offset_ns))
    return shown


def within(shown: Iterable[Shown], begin_ns: int, end_ns: int) -> list[Shown]:
    """Those presented in a window of time."""
    return [s for s in shown if begin_ns <= s.presented_ns < end_ns]


def fates(clients: Sequence[Path], begin_ns: int, end_ns: int) -> Counter[str]:
    """What became of the frames of a window, over all clients, by event.

    A frame belongs to the window in which it arrived. Those that a client never got, though others got them
    or later ones, are `missing`.
    """
    found = Counter[str]()
    seen: list[set[int]] = []
    for path in clients:
        own: set[int] = set()
        for line in path.read_text().splitlines()[1:]:
            fields = line.split(",", 5)
            if len(fields) >= 5 and begin_ns <= int(fields[2]) < end_ns:
                found[fields[4]] += 1
                own.add(int(fields[0]))
        seen.append(own)
    every = set[int]().union(*seen)
    if every:
        # Where the window begins and ends, who is a little later is not missing anything.
        inner = range(min(every) + _EDGE, max(every) + 1 - _EDGE)
        found["missing"] = sum(len(inner) - sum(seq in own for seq in inner) for own in seen)
    return found


def spreads(consumers: Sequence[Iterable[Shown]]) -> list[float]:
    """How far apart, in ms, the first and the last consumer that showed a frame did so; frame by frame.

    Frames that fewer than half of the consumers showed tell nothing.
    """
    return [(times[-1] - times[0]) / 1e6 for times in _by_frame(consumers)]


def _by_frame(consumers: Sequence[Iterable[Shown]]) -> list[list[int]]:
    """When each frame was presented, in order; of frames that half of the consumers presented."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for shown in consumers:
        for s in shown:
            found[s.capture_ns, s.seq].append(s.presented_ns)
    least = max(2, (len(consumers) + 1) // 2)
    return [sorted(times) for times in found.values() if len(times) >= least]


def figures(consumers: Sequence[Sequence[Shown]], span_s: float) -> Figures:
    """Figures of one window. Frames that fewer than half of the consumers presented tell no skew."""
    ages = sorted(s.age_ms for shown in consumers for s in shown)
    by_frame = _by_frame(consumers)
    apart = [(times[-1] - times[0]) / 1e6 for times in by_frame]
    distances = [abs(t - times[len(times) // 2]) / 1e6 for times in by_frame for t in times]
    return Figures(
        fps=tuple(len(shown) / span_s for shown in consumers),
        age_ms=(at(ages, 0.5), at(ages, 0.99), at(ages, 1.0)),
        skew_ms=(at(apart, 0.5), at(apart, 0.99)),
        off_median_ms=(at(distances, 0.5), at(distances, 0.99)),
    )


def at(values: Iterable[float], fraction: float) -> float:
    """A percentile; NaN if there are no values."""
    found = percentile(values, fraction)
    return float("nan") if found is None else found
