"""What a producer has done so far: live counters inside, frozen snapshots outside."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from common.stats import Window


@dataclass(frozen=True, slots=True)
class ProducerStats:
    """A snapshot. Counters run since the producer started.

    Attributes:
        captured: pictures that the source gave.
        published: frames handed to the broker.
        published_bytes: their bodies.
        keyframes: those of them that stand alone.
        skipped: pictures that a newer one overtook because encoding or publishing was slower.
        unwatched: pictures that were not encoded because nobody watched.
        stale: pictures or frames that grew too old while the broker took none.
        unencodable: pictures that the codec refused.
        unsent: frames that single clients did not get since they were too slow; without a broker only.
        refused: connections that did not keep to the contract; without a broker only.
        keyframe_requests: requests of consumers (PLI).
        consumers: names that sent a receiver report in the last 3 s; a thousand at most.
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
    unsent: int
    refused: int
    keyframe_requests: int
    consumers: tuple[str, ...]
    fps: float


_REPORT_LIFETIME_NS: Final = 3_000_000_000
# Anybody may report under any number of names.
MOST_NAMES: Final = 1000


class Meters:
    """The live counters behind `ProducerStats`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captured = 0
        self._published = 0
        self._published_bytes = 0
        self._keyframes = 0
        self._skipped = 0
        self._unwatched = 0
        self._stale = 0
        self._unencodable = 0
        self._unsent = 0
        self._refused = 0
        self._keyframe_requests = 0
        self._reports: dict[str, int] = {}
        self._sizes = Window()

    def captured(self) -> None:
        with self._lock:
            self._captured += 1

    def overtaken(self, *, watched: bool) -> None:
        with self._lock:
            if watched:
                self._skipped += 1
            else:
                self._unwatched += 1

    def stale(self) -> None:
        with self._lock:
            self._stale += 1

    def unencodable(self) -> None:
        with self._lock:
            self._unencodable += 1

    def unsent(self, frames: int) -> None:
        with self._lock:
            self._unsent += frames

    def refused(self) -> None:
        with self._lock:
            self._refused += 1

    def published(self, size_bytes: int, *, key: bool, now_ns: int) -> None:
        with self._lock:
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
            self._forget_silent(now_ns)
            if len(self._reports) < MOST_NAMES:
                self._reports[name] = now_ns

    def _forget_silent(self, now_ns: int) -> None:
        while self._reports:
            name = next(iter(self._reports))  # the one that has been silent for longest
            if now_ns - self._reports[name] <= _REPORT_LIFETIME_NS:
                break
            del self._reports[name]

    def snapshot(self, now_ns: int) -> ProducerStats:
        """The figures as they stand; `now_ns` is monotonic."""
        with self._lock:
            self._forget_silent(now_ns)
            return ProducerStats(
                captured=self._captured,
                published=self._published,
                published_bytes=self._published_bytes,
                keyframes=self._keyframes,
                skipped=self._skipped,
                unwatched=self._unwatched,
                stale=self._stale,
                unencodable=self._unencodable,
                unsent=self._unsent,
                refused=self._refused,
                keyframe_requests=self._keyframe_requests,
                consumers=tuple(sorted(self._reports)),
                fps=self._sizes.rate(now_ns),
            )
