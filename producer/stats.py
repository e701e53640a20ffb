"""What a producer has done so far: live counters inside, frozen snapshots outside."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from fanlight.common.model.histogram import CODEC_BOUNDS_S, Distribution, Histogram
from fanlight.common.model.stats import Window


class Drop(StrEnum):
    """Why a picture was not published; see the attributes of `ProducerStats`."""

    SKIPPED = "skipped"
    UNWATCHED = "unwatched"
    STALE = "stale"
    UNENCODABLE = "unencodable"
    UNREADABLE = "unreadable"
    LIMITED = "limited"


Drops: TypeAlias = Counter[Drop]
"""How many pictures were dropped, by reason."""


@dataclass(frozen=True, slots=True)
class ProducerStats:
    """A snapshot. Counters run since the producer started.

    Every picture is counted as captured, and once for what became of it: captured = published + skipped +
    unwatched + stale + unencodable + unreadable + limited. While it runs, up to two more are captured: one
    waits to be encoded, and one is being encoded.

    Attributes:
        captured: pictures of the source, or that the program sent.
        published: frames encoded and handed to the publisher.
        published_bytes: their bodies.
        keyframes: those of them that stand alone.
        skipped: pictures that a newer one overtook because decoding, encoding or publishing was slower.
        unwatched: pictures that were not encoded because nobody watched.
        stale: pictures that grew too old while the publisher took none.
        unencodable: pictures that the codec refused.
        unreadable: images, or packets of a video, that cannot be decoded.
        limited: pictures of a camera or live stream that were more than the asked-for rate.
        unsent: published frames that grew too old before the broker took them; without a broker, frames
            that single clients were too slow for, counted for each client.
        refused: connections that did not keep to the contract; without a broker only.
        keyframe_requests: requests of consumers (PLI).
        consumers: names that sent a receiver report in the last 3 s; a thousand at most.
        connected: True while there is a connection to publish on; without a broker, while it listens.
        reconnects: times the connection was lost.
        blocked: True while the broker takes nothing, being short of memory or disk.
        blocked_s: for how long it was so, altogether, in seconds.
        fps: published frames per second, over the last 5 s.
    """

    captured: int
    published: int
    published_bytes: int
    keyframes: int
    skipped: int
    unwatched: int
    stale: int
    unencodable: int
    unreadable: int
    limited: int
    unsent: int
    refused: int
    keyframe_requests: int
    consumers: tuple[str, ...]
    connected: bool
    reconnects: int
    blocked: bool
    blocked_s: float
    fps: float


@dataclass(frozen=True, slots=True)
class Details:
    """What else is counted, for whoever watches over months.

    Attributes:
        encoding: time that each frame took to scale and encode, in seconds.
        captured_ns: monotonic time of the latest picture; None before the first.
        published_ns: likewise of the latest frame.
        wanted_ns: monotonic time since when somebody watches, if anybody does.
    """

    stats: ProducerStats
    encoding: Distribution
    captured_ns: int | None
    published_ns: int | None
    wanted_ns: int | None


_REPORT_LIFETIME_NS: Final = 3_000_000_000
# Anybody may report under any number of names.
MOST_NAMES: Final = 1000


class Meters:
    """The live counters behind `ProducerStats`. Thread-safe.

    Args:
        source_drops: what the source drops by itself; it goes on counting there.
    """

    def __init__(self, source_drops: Drops | None = None) -> None:
        self._lock = threading.Lock()
        self._source_drops = Drops() if source_drops is None else source_drops
        self._drops = Drops()
        self._captured = 0
        self._published = 0
        self._published_bytes = 0
        self._keyframes = 0
        self._unsent = 0
        self._refused = 0
        self._keyframe_requests = 0
        self._reports: dict[str, int] = {}
        self._sizes = Window()
        self._encoding = Histogram(CODEC_BOUNDS_S)
        self._captured_ns: int | None = None
        self._published_ns: int | None = None
        self._wanted_ns: int | None = None
        self._connected = False
        self._reconnects = 0
        self._blocked_since_ns: int | None = None
        self._blocked_ns = 0

    def captured(self, now_ns: int) -> None:
        with self._lock:
            self._captured += 1
            self._captured_ns = now_ns

    def wanted(self, now_ns: int) -> None:
        """Somebody watches, from now on; `now_ns` is monotonic."""
        with self._lock:
            self._wanted_ns = now_ns

    def connection(self, *, up: bool, now_ns: int) -> None:
        with self._lock:
            if self._connected and not up:
                self._reconnects += 1
            self._connected = up
            self._end_blocking(now_ns)

    def blocked(self, blocked: bool, now_ns: int) -> None:
        """The broker takes nothing, or does again."""
        with self._lock:
            if not blocked:
                self._end_blocking(now_ns)
            elif self._blocked_since_ns is None:
                self._blocked_since_ns = now_ns

    def _end_blocking(self, now_ns: int) -> None:
        if self._blocked_since_ns is not None:
            self._blocked_ns += now_ns - self._blocked_since_ns
            self._blocked_since_ns = None

    def dropped(self, why: Drop) -> None:
        with self._lock:
            self._drops[why] += 1

    def unsent(self, frames: int) -> None:
        with self._lock:
            self._unsent += frames

    def refused(self) -> None:
        with self._lock:
            self._refused += 1

    def published(self, size_bytes: int, *, key: bool, encode_s: float, now_ns: int) -> None:
        with self._lock:
            self._encoding.observe(encode_s)
            self._published_ns = now_ns
            self._published += 1
            self._published_bytes += size_bytes
            self._keyframes += key
            self._sizes.add(size_bytes, now_ns)

    def keyframe_requested(self) -> None:
        with self._lock:
            self._keyframe_requests += 1

    def reported(self, name: str, now_ns: int) -> None:
        """A consumer's receiver report arrived; `now_ns` is monotonic."""
        with self._lock:
            self._reports.pop(name, None)  # the latest one goes to the end
            while self._reports:
                oldest = next(iter(self._reports))
                if now_ns - self._reports[oldest] <= _REPORT_LIFETIME_NS:
                    break
                del self._reports[oldest]
            if len(self._reports) < MOST_NAMES:
                self._reports[name] = now_ns

    def snapshot(self, now_ns: int) -> ProducerStats:
        """The figures as they stand; `now_ns` is monotonic."""
        with self._lock:
            lost = {why: self._source_drops[why] for why in Drop}
            since_ns = self._blocked_since_ns
            blocked_ns = self._blocked_ns + (0 if since_ns is None else now_ns - since_ns)
            return ProducerStats(
                captured=self._captured + sum(lost.values()),
                published=self._published,
                published_bytes=self._published_bytes,
                keyframes=self._keyframes,
                **{why: lost[why] + self._drops[why] for why in Drop},
                unsent=self._unsent,
                refused=self._refused,
                keyframe_requests=self._keyframe_requests,
                consumers=tuple(
                    sorted(n for n, at_ns in self._reports.items() if now_ns - at_ns <= _REPORT_LIFETIME_NS)
                ),
                connected=self._connected,
                reconnects=self._reconnects,
                blocked=since_ns is not None,
                blocked_s=blocked_ns / 1e9,
                fps=self._sizes.rate(now_ns),
            )

    def details(self, now_ns: int) -> Details:
        """Everything; `now_ns` is monotonic."""
        stats = self.snapshot(now_ns)
        with self._lock:
            return Details(
                stats, self._encoding.snapshot(), self._captured_ns, self._published_ns, self._wanted_ns
            )
