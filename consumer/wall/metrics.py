"""The wall's Prometheus metrics; docs/monitoring.md describes them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fanlight.common.observe.health import Health
from fanlight.consumer.wall.limits import Refused
from fanlight.consumer.wall.viewer_queue import Drop

if TYPE_CHECKING:
    from fanlight.common.observe.exposition import MetricSet
    from fanlight.consumer.wall.streams import Streams


def add_wall_metrics(metrics: MetricSet, streams: Streams) -> None:
    """Add all metrics. Called on another thread than that of the streams."""
    counters, feeds = streams.counters, list(streams.feeds.values())
    pages = list(streams.pages)
    metrics.gauge("streams", "Streams that can be seen.", len(streams.live))
    metrics.gauge(
        "received_streams", "Streams that are received now, since somebody views them.", len(feeds)
    )
    metrics.gauge("pages", "Pages that are connected.", len(pages))
    metrics.gauges("viewers", "Viewers of each stream.", "stream", {
        feed.stream: len(feed.queues) for feed in feeds
    })  # fmt: skip
    metrics.gauges("live", "1 while frames of the stream come.", "stream", {
        feed.stream: feed.state.live for feed in feeds
    })  # fmt: skip
    metrics.counter("sent_frames_total", "Frames sent to pages.", counters.frames)
    metrics.counter("sent_bytes_total", "Their messages.", counters.bytes)
    drops = Counter(counters.drops)
    for queue in streams.queues:
        drops.update(queue.drops)
    metrics.counters(
        "dropped_frames_total",
        "Frames that a viewer did not get.",
        "reason",
        {reason: drops[reason] for reason in Drop},
    )
    dropped_results = counters.dropped_results + streams.results.dropped
    metrics.counter("dropped_results_total", "Results that a page did not get.", dropped_results)
    metrics.counter("held_total", "Times that a page acknowledged nothing for too long.", counters.held)
    metrics.counter("cut_off_total", "Players that stopped reading and were cut off.", counters.cut_off)
    overrun = counters.overrun + sum(feed.overrun for feed in feeds)
    metrics.counter("overrun_frames_total", "Frames that the event loop did not take in time.", overrun)
    not_made = counters.not_made + sum(feed.not_made for feed in feeds)
    metrics.counter("pictures_not_made_total", "Frames of which no JPEG picture was made.", not_made)
    key_requests = counters.key_requests + sum(feed.key_requests for feed in feeds)
    metrics.counter("keyframe_requests_total", "Keyframe requests sent (PLI).", key_requests)
    metrics.histogram(
        "delay_seconds", "From the arrival of a frame to its way to a page.", counters.delays.snapshot()
    )
    delays_s = [delay_s for page in pages if (delay_s := page.delay_p99_s) is not None]
    metrics.gauge("worst_delay_seconds", "Its p99 for the slowest page.", max(delays_s, default=None))
    metrics.counters("page_frames_total", "What pages did with frames.", "outcome", {
        "shown": counters.shown, "dropped": counters.dropped
    })  # fmt: skip
    metrics.counters(
        "refused_total",
        "Requests and connections that were refused or ended.",
        "reason",
        {reason: counters.refused[reason] for reason in Refused},
    )
    ages_s = [age_s for page in pages if (age_s := page.age_s) is not None]
    metrics.gauge("page_age_seconds", "The largest age that a page reports.", max(ages_s, default=None))


def wall_health(streams: Streams | None = None) -> Health:
    """Whether pages are served."""
    return Health(streams is not None, "serving" if streams is not None else "starting")
