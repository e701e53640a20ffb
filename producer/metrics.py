"""A producer's Prometheus metrics and its health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fanlight.common.observe.health import BLOCKED, Health, seconds_since
from fanlight.producer.stats import Drop, ProducerMetrics

if TYPE_CHECKING:
    from fanlight.common.observe.exposition import MetricSet


def add_producer_metrics(
    metrics: MetricSet, current: ProducerMetrics, *, watched: bool, healthy: bool
) -> None:
    """Add all metrics; docs/monitoring.md describes them."""
    stats = current.stats
    drops = {reason: getattr(stats, reason) for reason in Drop} | {"unsent": stats.unsent}
    metrics.counter("captured_frames_total", "Pictures of the source.", stats.captured)
    metrics.counter("published_frames_total", "Frames handed to the broker or to clients.", stats.published)
    metrics.counter("published_bytes_total", "Their bodies.", stats.published_bytes)
    metrics.counter("keyframes_total", "Published frames that stand alone.", stats.keyframes)
    metrics.counters(
        "dropped_frames_total",
        "Pictures that were not published, and published frames that were not sent.",
        "reason",
        drops,
    )
    metrics.counters(
        "intra_frames_total",
        "Pictures that stand alone, for pools of workers.",
        "outcome",
        {"published": stats.intra, "dropped": stats.intra_dropped},
    )
    metrics.counter("refused_connections_total", "Connections that broke the contract.", stats.refused)
    metrics.counter("keyframe_requests_total", "Keyframe requests received (PLI).", stats.keyframe_requests)
    metrics.histogram("encode_seconds", "Time to scale and encode a frame.", current.encoding)
    metrics.gauge("watched", "1 while anybody receives the stream.", watched)
    metrics.gauge("consumers", "Consumers that reported in the last 3 s.", len(stats.consumers))
    metrics.gauge("connected", "1 while there is a connection to publish on.", stats.connected)
    metrics.counter("reconnects_total", "Times the connection was lost.", stats.reconnects)
    metrics.gauge("blocked", "1 while the broker is short of memory or disk.", stats.blocked)
    metrics.counter("blocked_seconds_total", "How long it was so, in all.", stats.blocked_s)
    metrics.gauge("healthy", "1 while /healthz says so.", healthy)


def producer_health(current: ProducerMetrics, now_ns: int, stall_s: float, *, watched: bool) -> Health:
    """Whether frames flow, or would flow with a consumer; `now_ns` is monotonic.

    Healthy for `stall_s` after the first consumer: no frame can have been published for it before.
    """
    stats = current.stats
    published_s = seconds_since(current.published_ns, now_ns)
    captured_s = seconds_since(current.captured_ns, now_ns)
    watched_s = seconds_since(current.watched_ns, now_ns)
    if published_s is not None and published_s <= stall_s:
        return Health(True, "frames flow")
    if not stats.connected:
        return Health(False, "not connected")
    if stats.blocked:
        return Health(False, BLOCKED)
    if captured_s is None:
        return Health(False, "no picture yet from the source")
    if captured_s > stall_s:
        return Health(False, f"no picture from the source for {captured_s:.0f} s")
    if not watched:
        return Health(True, "nobody watches")
    if watched_s is not None and watched_s <= stall_s:
        return Health(True, "somebody has begun to watch")
    return Health(False, "somebody watches, but nothing is published")
