"""What the gateway has sent, and how long that took. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import Final

from fanlight.common.model.histogram import Histogram
from fanlight.consumer.wall.limits import Refused
from fanlight.consumer.wall.message import Report
from fanlight.consumer.wall.viewer_queue import Drop

DELAY_BOUNDS_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3,
)  # fmt: skip
_INTERVAL_NS: Final = 10_000_000_000


class WallCounters:
    """Those of one gateway, since it started. The event loop counts; any thread may read.

    Attributes:
        frames, bytes: written to the sockets of pages.
        delays: from the arrival of a frame to that, in seconds.
        drops: of viewers that have gone, by reason.
        cut_off: players that stopped reading.
        held: times that a page did not acknowledge for too long.
        dropped_results: malformed, too many, or more than a page or the event loop took in time.
        key_requests, overrun, not_made: of streams that are not received any more; see `Feed`.
        shown, dropped: frames, as pages report them.
        refused: requests and connections, by reason.
    """

    def __init__(self) -> None:
        self.frames = self.bytes = self.held = self.key_requests = self.shown = self.dropped = 0
        self.cut_off = self.overrun = self.not_made = self.dropped_results = 0
        self.delays = Histogram(DELAY_BOUNDS_S)
        self.drops: Counter[Drop] = Counter()
        self.refused: Counter[Refused] = Counter()


class PageCounters:
    """Those of one page, which are part of the gateway's."""

    def __init__(self, wall: WallCounters) -> None:
        self._wall = wall
        # Of the current interval, and of the one before it.
        self._delays = self._earlier = Histogram(DELAY_BOUNDS_S)
        self._since_ns: int | None = None
        self._reports: dict[str, Report] = {}

    def sent(self, size_bytes: int, delay_ns: int | None, now_ns: int) -> None:
        """A frame is written, this long after it came; None for one that came before the page joined."""
        self._wall.frames += 1
        self._wall.bytes += size_bytes
        if delay_ns is not None:
            self._wall.delays.observe(delay_ns / 1e9)
            if self._since_ns is None or now_ns - self._since_ns >= _INTERVAL_NS:
                self._earlier, self._delays = self._delays, Histogram(DELAY_BOUNDS_S)
                self._since_ns = now_ns
            self._delays.observe(delay_ns / 1e9)

    def reported(self, report: Report) -> None:
        """The page has said what it did with a stream."""
        last = self._reports.get(report.stream)
        began = last is None or report.shown < last.shown or report.dropped < last.dropped
        self._wall.shown += report.shown - (0 if last is None or began else last.shown)
        self._wall.dropped += report.dropped - (0 if last is None or began else last.dropped)
        self._reports[report.stream] = report

    def forget(self, stream: str) -> None:
        """The page does not show it any more."""
        self._reports.pop(stream, None)

    @property
    def age_s(self) -> float | None:
        """The largest of the ages that it reports; None without one."""
        ages_ms = [each.age_ms for each in list(self._reports.values()) if each.age_ms is not None]
        return max(ages_ms) / 1000 if ages_ms else None

    @property
    def delay_p99_s(self) -> float | None:
        """An upper bound of the 99th percentile of its delays in the last 10 to 20 s; None without one."""
        pairs = zip(self._delays.snapshot().counts, self._earlier.snapshot().counts, strict=True)
        counts = [now + earlier for now, earlier in pairs]
        enough = 0.99 * sum(counts)
        if not enough:
            return None
        bucket = next(index for index, total in enumerate(accumulate(counts)) if total >= enough)
        return DELAY_BOUNDS_S[bucket] if bucket < len(DELAY_BOUNDS_S) else float("inf")
