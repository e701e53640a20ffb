"""A consumer's statistics: live counters, immutable snapshots of them, and a trace."""

from __future__ import annotations

import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.histogram import CODEC_BOUNDS_S, Distribution, Histogram
from fanlight.common.model.stall import StallLimit
from fanlight.common.model.stats import Jitter, Window, percentile
from fanlight.consumer.presence import ProducerPresence

_AGE_BOUNDS_S: Final = (
    0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0,
)  # fmt: skip
_SKEW_BOUNDS_S: Final = (
    0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip


# Presented frames are counted in batches of at most this size: two seconds at 30 fps.
MAX_UNCOUNTED: Final = 60


Counted = Literal["malformed", "lost", "expired", "keyframe_requests"]


class Outcome(StrEnum):
    """What happened to a frame that arrived; the `event` column of a trace."""

    PRESENTED = "presented"
    SUPERSEDED = "superseded"
    """A newer frame was complete before this one was due."""
    LATE = "late"
    """Older than `--max-age`, or past its playout time."""
    UNDECODABLE = "undecodable"
    AWAITING_KEY = "awaiting_key"
    """Its references are missing; no frame can be shown before the next keyframe."""


class TraceRow(NamedTuple):
    """One line of a trace."""

    seq: int
    capture_ns: int
    received_ns: int
    presented_ns: int | None
    outcome: Outcome
    meta: str = ""


class Presented(NamedTuple):
    """A frame that was presented.

    Attributes:
        age_ns: age at presentation, by the producer's clock.
        skew_ns: difference from its playout time; None without `sync`.
        now_ns: monotonic time of presentation.
        shared: whether it came from a hub; its arrival is then counted here as well.
    """

    header: FrameHeader
    received_ns: int
    presented_ns: int
    age_ns: int
    skew_ns: int | None
    now_ns: int
    shared: bool


class ResultCounts(NamedTuple):
    """What became of the results of the wanted detectors, since the consumer started.

    Attributes:
        presented: handed out with their frames.
        late: came after their frame, or a later one, was presented.
        unused: their frames were not presented by this consumer.
        duplicate: a detector had answered the same frame before.
        overflow: dropped, oldest first, since too much waited for its frames.
        refused: broke the wire contract, or were not of a trusted user; of any detector.
        excess: not even read: more came than are read in a second; of any detector.
    """

    presented: int = 0
    late: int = 0
    unused: int = 0
    duplicate: int = 0
    overflow: int = 0
    refused: int = 0
    excess: int = 0


_NO_RESULTS: Final = ResultCounts()


@dataclass(frozen=True, slots=True)
class ConsumerStats:
    """A snapshot. Counters run since the consumer started; rates and ages cover the last 5 s,
    or some frames where fewer come.

    Attributes:
        connected: True while subscribed.
        blocked: True while the broker blocks publishers, being short of memory or disk.
        received: frames that arrived and followed the wire contract.
        received_bytes: size of their bodies.
        presented: frames passed to the sinks or to the program.
        superseded: dropped because a newer frame was available.
        late: dropped because they were too old.
        undecodable: bodies that the codec rejected.
        awaiting_key: dropped because their references were missing.
        malformed: messages that did not follow the wire contract.
        duplicate: frames that arrived again, out of order, or from a second producer.
        lost: frames that never arrived.
        reconnects: times the connection was lost.
        expired: shared pictures that the program used beyond their grace time.
        shared: whether the last frame came from a hub of this host.
        fps: presented frames per second.
        age_p50_s: age at presentation, median; None before the first frame.
        age_p99_s: likewise, 99th percentile.
        jitter_s: interarrival jitter (RFC 3550).
        skew_p50_s: difference from the playout time, median; None without `sync`.
        epoch: of the current producer; 0 before the first frame.
        highest_seq: of the latest frame; -1 before the first one.
        no_frame: why none was presented in the last seconds, in words; empty while frames flow.
        results: what became of the results of the wanted detectors.
        producer_away_s: seconds since the last sign of a producer; None while it is there.
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
    duplicate: int
    lost: int
    reconnects: int
    expired: int
    shared: bool
    fps: float
    age_p50_s: float | None
    age_p99_s: float | None
    jitter_s: float
    skew_p50_s: float | None
    epoch: int
    highest_seq: int
    no_frame: str = ""
    results: ResultCounts = _NO_RESULTS
    producer_away_s: float | None = None

    @property
    def skipped(self) -> int:
        """Frames that were received but not presented."""
        return self.superseded + self.late + self.awaiting_key

    @property
    def repeated(self) -> int:
        """The former name of `duplicate`."""
        warnings.warn("ConsumerStats.repeated is now called duplicate", DeprecationWarning, stacklevel=2)
        return self.duplicate

    @property
    def overstayed(self) -> int:
        """The former name of `expired`."""
        warnings.warn("ConsumerStats.overstayed is now called expired", DeprecationWarning, stacklevel=2)
        return self.expired


@dataclass(frozen=True, slots=True)
class ConsumerMetrics:
    """The figures behind `/metrics` and `/healthz`, since the consumer started.

    Attributes:
        ages: age of each presented frame, in seconds.
        skews: difference of each from its playout time, in seconds; empty without `sync`.
        decoding: time to decode each frame, and to convert it if it was shown, in seconds.
        keyframe_requests: sent to the producer (PLI).
        presented_ns: monotonic time of the latest presentation; None before the first.
        stall_s: how long none may follow before the stream counts as dead.
    """

    stats: ConsumerStats
    ages: Distribution
    skews: Distribution
    decoding: Distribution
    keyframe_requests: int
    presented_ns: int | None
    stall_s: float


class ConsumerCounters:
    """The live counters behind `ConsumerStats`. Thread-safe.

    Presented frames are appended to `presented` and counted in batches, which takes a third of the time. A
    hundred viewers that each counted a frame at once would delay one another.

    Attributes:
        presented: frames not counted yet; the presenting thread appends.
        decoding: used by the decoding thread only, without a lock.
        no_frame: see `ConsumerStats`.
        presence: of the producer.
        last_error: why the latest message was refused, or could not be decoded.
        result_counts: returns what became of results; None if none are wanted. Set before start.
        on_trace: called with the outcome of every frame, on any thread; must not block. Set before start.
    """

    def __init__(self) -> None:
        self.presented: deque[Presented] = deque()
        self.decoding = Histogram(CODEC_BOUNDS_S)
        self.result_counts: Callable[[], ResultCounts] | None = None
        self.on_trace: Callable[[TraceRow], None] | None = None
        self.no_frame = ""
        self.last_error: Exception | None = None
        # Re-entrant, as a signal handler may ask for statistics while its thread is counting.
        self._lock = threading.RLock()
        self._counting = threading.RLock()
        # By the names of `ConsumerStats`; the outcomes have the same names.
        self._counts: Counter[str] = Counter()
        self._stall = StallLimit(unknown_s=10)
        self._ages = _Series(_AGE_BOUNDS_S, self._stall)
        self._skews = _Series(_SKEW_BOUNDS_S, self._stall)
        self._jitter = Jitter()
        self._connected = self._blocked = False
        self._newest: FrameHeader | None = None
        self._last: Presented | None = None
        self._last_late: tuple[int, int] | None = None
        self.presence = ProducerPresence()

    @property
    def lost(self) -> int:
        """Total of lost frames."""
        return self._counts["lost"]

    @property
    def newest_fps(self) -> float | None:
        """Nominal rate of the latest frame; None before the first."""
        return None if self._newest is None else self._newest.fps

    @property
    def stall_s(self) -> float:
        """How long no frame may be presented before the stream counts as dead."""
        return self._stall.seconds

    @property
    def last_late_s(self) -> float:
        """Age of the latest frame that was too late, on arrival, by this host's clock; 0 without one."""
        return 0.0 if self._last_late is None else (self._last_late[1] - self._last_late[0]) / 1e9

    def count(self, name: Counted, number: int = 1) -> None:
        """Count something other than the outcome of a received frame."""
        with self._lock:
            self._counts[name] += number

    def connection(self, *, up: bool) -> None:
        with self._lock:
            if self._connected and not up:
                self._counts["reconnects"] += 1
            self._connected = up
            self._blocked = False

    def blocked(self, blocked: bool) -> None:
        with self._lock:
            self._blocked = blocked

    def ended(self, now_ns: int) -> None:
        """The producer has ended in good order."""
        self.count_presented()
        with self._lock:
            self.presence.ended(self._counts["received"], now_ns)

    def received(self, header: FrameHeader, size_bytes: int, received_ns: int) -> None:
        """A frame arrived that is not a duplicate."""
        with self._lock:
            self._counts["received"] += 1
            self._counts["received_bytes"] += size_bytes
            if self._newest is None or header.epoch != self._newest.epoch:
                self._jitter.restart()
            self._newest = header
            self._jitter.observe(header.capture_ns, received_ns)

    def duplicate(self, header: FrameHeader, received_ns: int) -> None:
        """A frame arrived again, out of order, or from a second producer."""
        with self._lock:
            self._counts["duplicate"] += 1
        self._trace(header, received_ns, None, Outcome.SUPERSEDED)

    def overwritten(self, frames: int) -> None:
        """Frames of a hub were overwritten before they were read."""
        with self._lock:
            self._counts["received"] += frames
            self._counts[Outcome.SUPERSEDED] += frames

    def dropped(self, header: FrameHeader, received_ns: int, outcome: Outcome) -> None:
        """A frame that arrived is not presented."""
        self.count_presented()
        with self._lock:
            self._counts[outcome] += 1
            if outcome is Outcome.LATE:
                self._last_late = header.capture_ns, received_ns
        self._trace(header, received_ns, None, outcome)

    def count_presented(self) -> None:
        """Count and trace the frames in `presented`."""
        with self._counting:
            while self.presented:
                shown = self.presented.popleft()
                if shown.shared:
                    self.received(shown.header, 0, shown.received_ns)  # no bytes: nothing was transmitted
                with self._lock:
                    self._counts[Outcome.PRESENTED] += 1
                    if self._last is None or self._last.header.epoch != shown.header.epoch:
                        self._stall.reopened()  # how long a stream has no producer is no interval of it
                    self._last = shown
                    self._stall.fps = shown.header.fps
                    self._stall.arrived(shown.now_ns)
                    self._ages.add(shown.age_ns / 1e9, shown.now_ns)
                    if shown.skew_ns is not None:
                        self._skews.add(abs(shown.skew_ns) / 1e9, shown.now_ns)
                self._trace(shown.header, shown.received_ns, shown.presented_ns, Outcome.PRESENTED)

    def stats(self, now_ns: int) -> ConsumerStats:
        """A snapshot; `now_ns` is monotonic."""
        self.count_presented()
        with self._lock:
            ages_s = self._ages.window.values(now_ns)
            return ConsumerStats(
                **{name: self._counts[name] for name in _COUNTED},
                connected=self._connected,
                blocked=self._blocked,
                shared=self._last is not None and self._last.shared,
                fps=self._ages.window.rate(now_ns),
                age_p50_s=percentile(ages_s, 0.5),
                age_p99_s=percentile(ages_s, 0.99),
                jitter_s=self._jitter.value_ns / 1e9,
                skew_p50_s=percentile(self._skews.window.values(now_ns), 0.5),
                epoch=0 if self._newest is None else self._newest.epoch,
                highest_seq=-1 if self._newest is None else self._newest.seq,
                no_frame=self.no_frame,
                results=_NO_RESULTS if self.result_counts is None else self.result_counts(),
                producer_away_s=self.presence.observe(
                    self._counts["received"],
                    None if self._last is None else self._last.now_ns,
                    now_ns,
                    self._stall.seconds,
                ),
            )

    def metrics(self, now_ns: int) -> ConsumerMetrics:
        """A snapshot of all figures; `now_ns` is monotonic."""
        stats = self.stats(now_ns)
        with self._lock:
            return ConsumerMetrics(
                stats=stats,
                ages=self._ages.histogram.snapshot(),
                skews=self._skews.histogram.snapshot(),
                decoding=self.decoding.snapshot(),
                keyframe_requests=self._counts["keyframe_requests"],
                presented_ns=None if self._last is None else self._last.now_ns,
                stall_s=self._stall.seconds,
            )

    def _trace(
        self, header: FrameHeader, received_ns: int, presented_ns: int | None, outcome: Outcome
    ) -> None:
        if self.on_trace is not None:
            self.on_trace(
                TraceRow(header.seq, header.capture_ns, received_ns, presented_ns, outcome, header.meta)
            )


class _Series:
    """A value per presented frame: a window of the last seconds, and a histogram since the start."""

    def __init__(self, bounds: tuple[float, ...], stall: StallLimit) -> None:
        self.window = Window(stall=stall)
        self.histogram = Histogram(bounds)

    def add(self, value: float, now_ns: int) -> None:
        self.window.add(value, now_ns)
        self.histogram.observe(value)


# The fields of `ConsumerStats` that are plain counts.
_COUNTED: Final = (
    *Outcome, "received", "received_bytes", "malformed", "duplicate", "lost", "reconnects", "expired",
)  # fmt: skip
