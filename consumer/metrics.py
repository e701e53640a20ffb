"""A consumer's Prometheus metrics and its health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fanlight.common.observe.health import BLOCKED, Health, seconds_since
from fanlight.consumer.stall_log import NOTHING_ARRIVES
from fanlight.consumer.stats import ConsumerMetrics, Outcome

if TYPE_CHECKING:
    from fanlight.common.observe.exposition import MetricSet


def add_consumer_metrics(
    metrics: MetricSet,
    current: ConsumerMetrics,
    waiting: Mapping[str, int | None],
    *,
    max_age_s: float,
    healthy: bool,
) -> None:
    """Add all metrics; docs/monitoring.md describes them.

    Args:
        waiting: numbers of queued frames, by place; None if unknown.
    """
    stats = current.stats
    outcomes: dict[str, float] = {outcome: getattr(stats, outcome) for outcome in Outcome}
    outcomes |= {"malformed": stats.malformed, "repeated": stats.duplicate, "lost": stats.lost}
    metrics.counters("frames_total", "What became of the frames of the stream.", "outcome", outcomes)
    metrics.counters(
        "results_total", "What became of results of detectors.", "outcome", stats.results._asdict()
    )
    metrics.counter(
        "received_frames_total", "Frames that arrived and followed the wire contract.", stats.received
    )
    metrics.counter("received_bytes_total", "Their bodies.", stats.received_bytes)
    metrics.histogram("age_seconds", "Age of frames when they were presented.", current.ages)
    metrics.histogram("skew_seconds", "Distance from the scheduled playout time.", current.skews)
    metrics.histogram("decode_seconds", "Time to decode a frame.", current.decoding)
    metrics.gauge("jitter_seconds", "Interarrival jitter (RFC 3550).", stats.jitter_s)
    metrics.counter("keyframe_requests_total", "Keyframe requests sent (PLI).", current.keyframe_requests)
    metrics.counter("reconnects_total", "Times the connection was lost.", stats.reconnects)
    metrics.gauge("connected", "1 while the subscription stands.", stats.connected)
    metrics.gauge("blocked", "1 while the broker is short of memory or disk.", stats.blocked)
    metrics.gauge("shared", "1 if the last frame came from a hub of this host.", stats.shared)
    metrics.counter("overstayed_total", "Shared pictures used beyond their grace time.", stats.expired)
    metrics.gauges(
        "queue_frames",
        "Frames that wait: in the queue at the broker, and in this process.",
        "place",
        waiting,
    )
    metrics.gauge(
        "producer_away_seconds", "Time since the last sign of a producer.", stats.producer_away_s or 0.0
    )
    metrics.gauge("max_age_seconds", "Older frames are never presented.", max_age_s)
    metrics.gauge("healthy", "1 while /healthz says so.", healthy)


def consumer_health(current: ConsumerMetrics, now_ns: int, stall_s: float) -> Health:
    """Whether a frame was presented in the last `stall_s`, and if not, why; `now_ns` is monotonic."""
    stats = current.stats
    elapsed_s = seconds_since(current.presented_ns, now_ns)
    if elapsed_s is not None and elapsed_s <= stall_s:
        return Health(True, "frames flow")
    since = "no frame yet" if elapsed_s is None else f"no frame for {elapsed_s:.0f} s"
    if not stats.connected:
        return Health(False, f"{since}: not connected")
    if stats.blocked:
        return Health(False, f"{since}: {BLOCKED}")
    return Health(False, f"{since}: {stats.no_frame or NOTHING_ARRIVES}")
