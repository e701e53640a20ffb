"""What a consumer tells whoever watches it: its figures, and whether frames flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.observe.figures import Figure, Figures, Health, Kind
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ConsumerMetrics, Outcome

_BLOCKED: Final = "broker blocked: it is short of memory or disk"
# Why nothing is shown although frames arrive, by what became of the latest one.
_REASONS: Final = {
    Outcome.AWAITING_KEY: "awaiting a keyframe",
    Outcome.LATE: "what arrives is older than --max-age, or past its playout time",
    Outcome.UNDECODABLE: "what arrives cannot be decoded",
}


def figures_of(
    settings: ConsumerSettings, reception: Reception, healthy: Callable[[], Health]
) -> tuple[Figure, ...]:
    """All figures as they stand, read at a scrape."""
    return consumer_figures(
        settings,
        reception.counters.metrics(monotonic_ns()),
        queued=reception.queued,
        waiting=reception.waiting,
        healthy=healthy().ok,
    )


def consumer_figures(
    settings: ConsumerSettings, details: ConsumerMetrics, *, queued: int, waiting: int | None, healthy: bool
) -> tuple[Figure, ...]:
    """See docs/monitoring.md for what each means.

    Args:
        queued: frames in the process that wait until they are due.
        waiting: messages in the queue at the broker; None where that is not known.
    """
    stats = details.stats
    figures = Figures("fanlight_consumer", {"stream": settings.stream, "name": settings.name})
    add = figures.add
    figures.add_by(
        "outcome",
        "frames_total",
        Kind.COUNTER,
        "What became of the frames of the stream.",
        {
            **{event: getattr(stats, event) for event in Outcome},
            "malformed": stats.malformed,
            "repeated": stats.duplicate,
            "lost": stats.lost,
        },
    )
    add(
        "received_frames_total",
        Kind.COUNTER,
        "Frames that arrived and followed the wire contract.",
        stats.received,
    )
    add("received_bytes_total", Kind.COUNTER, "Their bodies.", stats.received_bytes)
    add("age_seconds", Kind.HISTOGRAM, "Age of frames when they were presented.", details.ages)
    add("skew_seconds", Kind.HISTOGRAM, "Distance from the scheduled playout time.", details.skews)
    add("decode_seconds", Kind.HISTOGRAM, "Time to decode a frame.", details.decoding)
    add("jitter_seconds", Kind.GAUGE, "Interarrival jitter (RFC 3550).", stats.jitter_s)
    add("keyframe_requests_total", Kind.COUNTER, "Keyframe requests sent (PLI).", details.keyframe_requests)
    add("reconnects_total", Kind.COUNTER, "Times the connection was lost.", stats.reconnects)
    add("connected", Kind.GAUGE, "1 while the subscription stands.", stats.connected)
    add("blocked", Kind.GAUGE, "1 while the broker is short of memory or disk.", stats.blocked)
    add("shared", Kind.GAUGE, "1 if the last frame came from a hub of this host.", stats.shared)
    add("overstayed_total", Kind.COUNTER, "Shared pictures used beyond their grace time.", stats.expired)
    figures.add_by(
        "place",
        "queue_frames",
        Kind.GAUGE,
        "Frames that wait: in the queue at the broker, and in this process.",
        {"broker": waiting, "process": queued},
    )
    add("max_age_seconds", Kind.GAUGE, "Older frames are never presented.", settings.max_age_s)
    add("healthy", Kind.GAUGE, "1 while /healthz says so.", healthy)
    return figures.all()


def consumer_health(details: ConsumerMetrics, now_ns: int, stall_s: float) -> Health:
    """Whether a frame was presented in the last `stall_s`, and if not, why; `now_ns` is monotonic."""
    stats, shown_ns = details.stats, details.presented_ns
    silent_s = None if shown_ns is None else (now_ns - shown_ns) / 1e9
    if silent_s is not None and silent_s <= stall_s:
        return Health(True, "frames flow")
    since = "no frame yet" if silent_s is None else f"no frame for {silent_s:.0f} s"
    if not stats.connected:
        return Health(False, f"{since}: not connected")
    if stats.blocked:
        return Health(False, f"{since}: {_BLOCKED}")
    if details.last_outcome in _REASONS:
        return Health(False, f"{since}: {_REASONS[details.last_outcome]}")
    return Health(False, f"{since}: connected, but nothing arrives; is a producer running?")


def health_of(reception: Reception, stall_s: float) -> Health:
    """Whether frames flow now."""
    return consumer_health(reception.counters.metrics(monotonic_ns()), monotonic_ns(), stall_s)
