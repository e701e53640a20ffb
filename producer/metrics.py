"""What a producer tells whoever watches it: its figures, and whether frames flow."""

from __future__ import annotations

from typing import Final

from fanlight.common.observe.figures import Figure, Figures, Health, Kind
from fanlight.producer.stats import Drop, ProducerDetails

_BLOCKED: Final = "broker blocked: it is short of memory or disk"


def producer_figures(
    stream: str, details: ProducerDetails, *, watched: bool, healthy: bool
) -> tuple[Figure, ...]:
    """See docs/monitoring.md for what each means."""
    stats = details.stats
    figures = Figures("fanlight_producer", {"stream": stream})
    add = figures.add
    add("captured_frames_total", Kind.COUNTER, "Pictures of the source.", stats.captured)
    add(
        "published_frames_total",
        Kind.COUNTER,
        "Frames handed to the broker or to clients.",
        stats.published,
    )
    add("published_bytes_total", Kind.COUNTER, "Their bodies.", stats.published_bytes)
    add("keyframes_total", Kind.COUNTER, "Published frames that stand alone.", stats.keyframes)
    figures.add_by(
        "reason",
        "dropped_frames_total",
        Kind.COUNTER,
        "Pictures that were not published, and published frames that were not sent.",
        {**{why: getattr(stats, why) for why in Drop}, "unsent": stats.unsent},
    )
    add("refused_connections_total", Kind.COUNTER, "Connections that broke the contract.", stats.refused)
    add(
        "keyframe_requests_total",
        Kind.COUNTER,
        "Keyframe requests received (PLI).",
        stats.keyframe_requests,
    )
    add("encode_seconds", Kind.HISTOGRAM, "Time to scale and encode a frame.", details.encoding)
    add("watched", Kind.GAUGE, "1 while anybody receives the stream.", watched)
    add("consumers", Kind.GAUGE, "Consumers that reported in the last 3 s.", len(stats.consumers))
    add("connected", Kind.GAUGE, "1 while there is a connection to publish on.", stats.connected)
    add("reconnects_total", Kind.COUNTER, "Times the connection was lost.", stats.reconnects)
    add("blocked", Kind.GAUGE, "1 while the broker is short of memory or disk.", stats.blocked)
    add("blocked_seconds_total", Kind.COUNTER, "For how long it was so, altogether.", stats.blocked_s)
    add("healthy", Kind.GAUGE, "1 while /healthz says so.", healthy)
    return figures.all()


def producer_health(details: ProducerDetails, now_ns: int, stall_s: float, *, watched: bool) -> Health:
    """Whether frames flow, or would as soon as somebody watches; `now_ns` is monotonic.

    Somebody who has just come is waited for: nothing can have been published for him.
    """
    stats = details.stats

    def silent_s(since_ns: int | None) -> float | None:
        return None if since_ns is None else (now_ns - since_ns) / 1e9

    published_s, captured_s = silent_s(details.published_ns), silent_s(details.captured_ns)
    if published_s is not None and published_s <= stall_s:
        return Health(True, "frames flow")
    if not stats.connected:
        return Health(False, "not connected")
    if stats.blocked:
        return Health(False, _BLOCKED)
    if captured_s is None:
        return Health(False, "no picture yet from the source")
    if captured_s > stall_s:
        return Health(False, f"no picture from the source for {captured_s:.0f} s")
    if not watched:
        return Health(True, "nobody watches")
    wanted_s = silent_s(details.watched_ns)
    if wanted_s is not None and wanted_s <= stall_s:
        return Health(True, "somebody has begun to watch")
    return Health(False, "somebody watches, but nothing is published")
