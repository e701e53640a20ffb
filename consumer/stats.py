"""What a consumer has done so far: live counters inside, frozen snapshots outside."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.histogram import CODEC_BOUNDS_S, Distribution, Histogram
from fanlight.common.model.stats import Jitter, Window, percentile

_AGE_BOUNDS_S: Final = (
    0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0,
)  # fmt: skip
_SKEW_BOUNDS_S: Final = (
    0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip


class Event(StrEnum):
    """The fate of a frame that arrived; the `event` column of a trace."""

    PRESENTED = "presented"
    SUPERSEDED = "superseded"
    """A newer frame was complete before this one's turn."""
    LATE = "late"
    """Older than `--max-age`, or past its playout time."""
    UNDECODABLE = "undecodable"
    AWAITING_KEY = "awaiting_key"
    """Its references never came; nothing can be shown before the next keyframe."""


class Outcome(NamedTuple):
    """One line of a trace."""

    seq: int
    capture_ns: int
    received_ns: int
    presented_ns: int | None
    event: Event


@dataclass(frozen=True, slots=True)
class ConsumerStats:
    """A snapshot. Counters run since the consumer started; rates and ages cover the last 5 s.

    Attributes:
        connected: True while the subscription stands.
        blocked: True while the broker takes nothing from anybody, being short of memory or disk.
        received: frames that arrived and followed the wire contract.
        received_bytes: their bodies.
        presented: frames handed to the sinks or to the program.
        superseded: dropped because a newer one was complete.
        late: dropped because they were too old.
        undecodable: bodies that the codec refused.
        awaiting_key: dropped because their references never came.
        malformed: messages that did not follow the wire contract.
        repeated: frames out of order, or of a second producer.
        lost: frames that never arrived.
        reconnects: times the connection was lost.
        overstayed: shared pictures that the program still held when their grace time was over.
        shared: whether the last frame came from a hub of this host.
        fps: presented frames per second.
        age_p50_s: age at presentation, median; None before the first frame.
        age_p99_s: likewise, 99th percentile.
        jitter_s: interarrival jitter (RFC 3550).
        skew_p50_s: distance from the scheduled playout time, median; None without `sync`.
        epoch: of the producer followed; 0 before the first frame.
        highest_seq: the latest frame that arrived; -1 before the first one.
    """

    connected: bool
    blocked: bool
    received: int
    received_bytes: int
    presented: int
    superseded: int
    late: int
    undecodable: int
    awaiting_key: int
    malformed: int
    repeated: int
    lost: int
    reconnects: int
    overstayed: int
    shared: bool
    fps: float
    age_p50_s: float | None
    age_p99_s: float | None
    jitter_s: float
    skew_p50_s: float | None
    epoch: int
    highest_seq: int

    @property
    def skipped(self) -> int:
        """Frames that arrived whole and were not shown."""
        return self.superseded + self.late + self.awaiting_key


@dataclass(frozen=True, slots=True)
class Details:
    """What else is counted, for whoever watches over months. Runs since the consumer started.

    Attributes:
        ages: age of each presented frame, in seconds.
        skews: distance of each from its scheduled playout time, in seconds; empty without `sync`.
        decoding: time that each frame took to decode, with its conversion if it was shown, in seconds.
        keyframe_requests: sent to the producer (PLI).
        presented_ns: monotonic time of the latest presentation; None before the first.
        last_fate: what became of the latest frame that had an end.
    """

    stats: ConsumerStats
    ages: Distribution
    skews: Distribution
    decoding: Distribution
    keyframe_requests: int
    presented_ns: int | None
    last_fate: Event | None


class Meters:
    """The live counters behind `ConsumerStats`. Thread-safe: receiver and presenter both count.

    Attributes:
        decoding: observed by the thread that decodes, and by no other: it needs no lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: Counter[Event] = Counter()
        self._last_fate: Event | None = None
        self._presented_ns: int | None = None
        self._ages = Histogram(_AGE_BOUNDS_S)
        self._skews = Histogram(_SKEW_BOUNDS_S)
        self.decoding = Histogram(CODEC_BOUNDS_S)
        self._keyframe_requests = 0
        self._ages_s = Window()
        self._skews_s = Window()
        self._jitter = Jitter()
        self._received = 0
        self._received_bytes = 0
        self._malformed = 0
        self._repeated = 0
        self._lost = 0
        self._reconnects = 0
        self._overstayed = 0
        self._shared = False
        self._connected = False
        self._blocked = False
        self._epoch = 0
        self._highest_seq = -1

    def arrived(self, header: FrameHeader, size_bytes: int, received_ns: int) -> None:
        with self._lock:
            self._received += 1
            self._received_bytes += size_bytes
            if header.epoch != self._epoch:
                self._epoch = header.epoch
                self._jitter.restart()
            self._highest_seq = header.seq
            self._jitter.observe(header.capture_ns, received_ns)

    def lost(self, frames: int) -> None:
        with self._lock:
            self._lost += frames

    def malformed(self) -> None:
        with self._lock:
            self._malformed += 1

    def repeated(self) -> None:
        with self._lock:
            self._repeated += 1

    def connection(self, *, up: bool) -> None:
        with self._lock:
            if self._connected and not up:
                self._reconnects += 1
            self._connected = up
            self._blocked = False

    def blocked(self, blocked: bool) -> None:
        with self._lock:
            self._blocked = blocked

    def ended(self, event: Event) -> None:
        """Count the fate of a frame that was not presented."""
        with self._lock:
            self._events[event] += 1
            self._last_fate = event

    def overtaken(self, frames: int) -> None:
        """Count frames that a hub overwrote before they could be looked at."""
        with self._lock:
            self._received += frames
            self._events[Event.SUPERSEDED] += frames

    def keyframe_requested(self) -> None:
        with self._lock:
            self._keyframe_requests += 1

    def overstayed(self) -> None:
        with self._lock:
            self._overstayed += 1

    def presented(self, *, age_s: float, skew_s: float | None, now_ns: int, shared: bool = False) -> None:
        """Count a frame that was; `now_ns` is monotonic."""
        with self._lock:
            self._shared = shared
            self._events[Event.PRESENTED] += 1
            self._last_fate = Event.PRESENTED
            self._presented_ns = now_ns
            self._ages_s.add(age_s, now_ns)
            self._ages.observe(age_s)
            if skew_s is not None:
                self._skews_s.add(abs(skew_s), now_ns)
                self._skews.observe(abs(skew_s))

    def details(self, now_ns: int) -> Details:
        """Everything; `now_ns` is monotonic."""
        stats = self.snapshot(now_ns)
        with self._lock:
            return Details(
                stats=stats,
                ages=self._ages.snapshot(),
                skews=self._skews.snapshot(),
                decoding=self.decoding.snapshot(),
                keyframe_requests=self._keyframe_requests,
                presented_ns=self._presented_ns,
                last_fate=self._last_fate,
            )

    def snapshot(self, now_ns: int) -> ConsumerStats:
        """The figures as they stand; `now_ns` is monotonic."""
        with self._lock:
            ages_s = self._ages_s.values(now_ns)
            return ConsumerStats(
                connected=self._connected,
                blocked=self._blocked,
                received=self._received,
                received_bytes=self._received_bytes,
                presented=self._events[Event.PRESENTED],
                superseded=self._events[Event.SUPERSEDED],
                late=self._events[Event.LATE],
                undecodable=self._events[Event.UNDECODABLE],
                awaiting_key=self._events[Event.AWAITING_KEY],
                malformed=self._malformed,
                repeated=self._repeated,
                lost=self._lost,
                reconnects=self._reconnects,
                overstayed=self._overstayed,
                shared=self._shared,
                fps=self._ages_s.rate(now_ns),
                age_p50_s=percentile(ages_s, 0.5),
                age_p99_s=percentile(ages_s, 0.99),
                jitter_s=self._jitter.value_ns / 1e9,
                skew_p50_s=percentile(self._skews_s.values(now_ns), 0.5),
                epoch=self._epoch,
                highest_seq=self._highest_seq,
            )
