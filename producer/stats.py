"""A producer's statistics: live counters, and immutable snapshots of them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, get_args

from fanlight.common.model.histogram import CODEC_BOUNDS_S, Distribution, Histogram
from fanlight.common.model.stall import StallLimit
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

    Every picture counts as captured, and once by its outcome: captured = published + skipped +
    unwatched + stale + unencodable + unreadable + limited. While it runs, up to two more are captured: one
    waits to be encoded, and one is being encoded; one more while only pools watch.

    Attributes:
        captured: pictures that the source delivered or the program sent.
        published: frames encoded and handed to the publisher.
        published_bytes: size of their bodies.
        keyframes: published keyframes.
        skipped: pictures replaced by a newer one because decoding, encoding or publishing was slower.
        unwatched: pictures that were not encoded because the stream had no consumer.
        stale: pictures that exceeded `max_age_s` while the publisher was not ready.
        unencodable: pictures that the codec rejected.
        unreadable: images, or packets of a video, that cannot be decoded.
        limited: pictures of a camera or live stream in excess of `fps`.
        unsent: published frames that exceeded `max_age_s` before they were sent to the broker; without a
            broker, frames that a client was too slow for, counted per client. Frames for pools, too.
        refused: connections that broke the wire contract; without a broker only.
        keyframe_requests: requests received from consumers (PLI).
        consumers: names that sent a receiver report in the last 3 s; a thousand at most.
        connected: True while there is a connection to publish on; without a broker, while it listens.
        reconnects: times the connection was lost.
        blocked: True while the broker blocks publishers, being short of memory or disk.
        blocked_s: total time blocked, in seconds.
        fps: published frames per second, over the last 5 s, or some frames where fewer come.
        intra: pictures that were encoded for pools, of a stream whose frames do not stand alone. While
            nobody else watches, they count as published.
        intra_dropped: pictures that were published, but not for the pools: as skipped, stale and
            unencodable.
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
    intra: int = 0
    intra_dropped: int = 0


@dataclass(frozen=True, slots=True)
class ProducerMetrics:
    """The figures behind `/metrics` and `/healthz`.

    Attributes:
        encoding: time to scale and encode each frame, in seconds.
        captured_ns: monotonic time of the latest picture; None before the first.
        published_ns: likewise of the latest frame.
        watched_ns: monotonic time since when the stream is watched, if it is.
        stall_s: how long no picture may follow before the source counts as dead.
    """

    stats: ProducerStats
    encoding: Distribution
    captured_ns: int | None
    published_ns: int | None
    watched_ns: int | None
    stall_s: float


_REPORT_LIFETIME_NS: Final = 3_000_000_000
# Consumers choose their names, so their number is limited.
MOST_NAMES: Final = 1000


class ActiveConsumers:
    """The consumers with a receiver report in the last 3 s. Times are monotonic. Not thread-safe."""

    def __init__(self) -> None:
        self._reported_ns: dict[str, int] = {}  # the latest at the end

    def reported(self, name: str, now_ns: int) -> None:
        self._reported_ns.pop(name, None)
        while self._reported_ns:
            oldest = next(iter(self._reported_ns))
            if now_ns - self._reported_ns[oldest] <= _REPORT_LIFETIME_NS:
                break
            del self._reported_ns[oldest]
        if len(self._reported_ns) < MOST_NAMES:
            self._reported_ns[name] = now_ns

    def names(self, now_ns: int) -> tuple[str, ...]:
        return tuple(
            sorted(name for name, ns in self._reported_ns.items() if now_ns - ns <= _REPORT_LIFETIME_NS)
        )


class ConnectionTimes:
    """State of the connection, and the total time that the broker blocked it. Not thread-safe."""

    def __init__(self) -> None:
        self.connected = False
        self.reconnects = 0
        self._blocked_since_ns: int | None = None
        self._blocked_ns = 0

    def changed(self, *, connected: bool, now_ns: int) -> None:
        self.reconnects += self.connected and not connected
        self.connected = connected
        self.set_blocked(False, now_ns)

    def set_blocked(self, blocked: bool, now_ns: int) -> None:
        if blocked and self._blocked_since_ns is None:
            self._blocked_since_ns = now_ns
        elif not blocked:
            self._blocked_ns = self.blocked_ns(now_ns)
            self._blocked_since_ns = None

    @property
    def blocked(self) -> bool:
        return self._blocked_since_ns is not None

    def blocked_ns(self, now_ns: int) -> int:
        """Total time blocked."""
        since_ns = self._blocked_since_ns
        return self._blocked_ns + (0 if since_ns is None else now_ns - since_ns)


CounterName: TypeAlias = Literal["unsent", "refused", "keyframe_requests", "intra", "intra_dropped"]
"""Plain counters; see the attributes of `ProducerStats`."""


class ProducerCounters:
    """The live counters behind `ProducerStats`. Thread-safe; times are monotonic.

    Args:
        source_drops: the counter of the source itself, read at each snapshot.

    Attributes:
        last_stale_s: age of the latest picture that was stale.
    """

    def __init__(self, source_drops: Drops | None = None) -> None:
        # Re-entrant, as a signal handler may ask for statistics while its thread is counting.
        self._lock = threading.RLock()
        self._source_drops = Drops() if source_drops is None else source_drops
        self._drops = Drops()
        self._counts: Counter[str] = Counter()
        self._consumers = ActiveConsumers()
        self._connection = ConnectionTimes()
        self._stall = StallLimit()
        self._sizes = Window(stall=self._stall)
        self._encoding = Histogram(CODEC_BOUNDS_S)
        self._latest_ns: dict[str, int] = {}
        self.last_stale_s = 0.0

    @property
    def encoding_s(self) -> float:
        """Total time spent encoding."""
        with self._lock:
            return self._encoding.snapshot().total

    def captured(self, now_ns: int, fps: float = 0.0) -> None:
        """A picture came from the source, which has this nominal rate."""
        with self._lock:
            self._stall.fps = fps
            self._stall.arrived(now_ns)
            self._counts["captured"] += 1
            self._latest_ns["captured"] = now_ns

    def published(self, size_bytes: int, *, key: bool, encode_s: float, now_ns: int) -> None:
        with self._lock:
            self._counts.update(published=1, published_bytes=size_bytes, keyframes=key)
            self._latest_ns["published"] = now_ns
            self._encoding.observe(encode_s)
            self._sizes.add(size_bytes, now_ns)

    def dropped(self, why: Drop) -> None:
        with self._lock:
            self._drops[why] += 1

    def add(self, what: CounterName, number: int = 1) -> None:
        with self._lock:
            self._counts[what] += number

    def watched(self, now_ns: int) -> None:
        """The stream has a consumer from `now_ns` on."""
        with self._lock:
            self._latest_ns["watched"] = now_ns

    def connection(self, *, up: bool, now_ns: int) -> None:
        with self._lock:
            self._connection.changed(connected=up, now_ns=now_ns)

    def blocked(self, blocked: bool, now_ns: int) -> None:
        """The broker blocks publishers, or no longer does."""
        with self._lock:
            self._connection.set_blocked(blocked, now_ns)

    def reported(self, name: str, now_ns: int) -> None:
        """A consumer's receiver report arrived."""
        with self._lock:
            self._consumers.reported(name, now_ns)

    def stats(self, now_ns: int) -> ProducerStats:
        """A snapshot."""
        with self._lock:
            lost = {why: self._source_drops[why] for why in Drop}
            return ProducerStats(
                captured=self._counts["captured"] + sum(lost.values()),
                published=self._counts["published"],
                published_bytes=self._counts["published_bytes"],
                keyframes=self._counts["keyframes"],
                **{why: lost[why] + self._drops[why] for why in Drop},
                **{what: self._counts[what] for what in get_args(CounterName)},
                consumers=self._consumers.names(now_ns),
                connected=self._connection.connected,
                reconnects=self._connection.reconnects,
                blocked=self._connection.blocked,
                blocked_s=self._connection.blocked_ns(now_ns) / 1e9,
                fps=self._sizes.rate(now_ns),
            )

    def metrics(self, now_ns: int) -> ProducerMetrics:
        """A snapshot of all figures."""
        stats = self.stats(now_ns)
        with self._lock:
            latest_ns = self._latest_ns.get
            return ProducerMetrics(
                stats,
                self._encoding.snapshot(),
                captured_ns=latest_ns("captured"),
                published_ns=latest_ns("published"),
                watched_ns=latest_ns("watched"),
                stall_s=self._stall.seconds,
            )
