from __future__ import annotations

import pytest

from fanlight.common.observe.exposition import MetricSet
from fanlight.producer.metrics import add_producer_metrics, producer_health
from fanlight.producer.stats import Drop, ProducerCounters, ProducerMetrics

SECOND = 1_000_000_000
STALL_S = 3.0
NOW_NS = 10 * SECOND


def snapshot(
    *,
    connected: bool = True,
    blocked: bool = False,
    captured_s: float | None = 10,
    published_s: float | None = None,
    wanted_s: float | None = None,
) -> ProducerMetrics:
    counters = ProducerCounters()
    counters.connection(up=connected, now_ns=0)
    if blocked:
        counters.blocked(True, 8 * SECOND)
    if captured_s is not None:
        counters.captured(int(captured_s * SECOND))
    if published_s is not None:
        counters.published(1000, key=True, encode_s=0.004, now_ns=int(published_s * SECOND))
    if wanted_s is not None:
        counters.watched(int(wanted_s * SECOND))
    return counters.metrics(NOW_NS)


@pytest.mark.parametrize(
    ("found", "watched", "ok", "reason"),
    [
        (snapshot(published_s=7), True, True, "frames flow"),
        (snapshot(published_s=6.9), True, False, "somebody watches, but nothing is published"),
        (snapshot(wanted_s=7.5), True, True, "somebody has begun to watch"),
        (snapshot(), False, True, "nobody watches"),
        (snapshot(connected=False), False, False, "not connected"),
        (snapshot(blocked=True), False, False, "broker blocked: it is short of memory or disk"),
        (snapshot(captured_s=None), False, False, "no picture yet from the source"),
        (snapshot(captured_s=5), False, False, "no picture from the source for 5 s"),
    ],
)
def test_health_says_whether_frames_flow(
    found: ProducerMetrics, watched: bool, ok: bool, reason: str
) -> None:
    health = producer_health(found, NOW_NS, STALL_S, watched=watched)
    assert (health.ok, health.reason) == (ok, reason)


def test_every_drop_is_counted_by_its_reason() -> None:
    metrics = MetricSet("fanlight_producer", {"stream": "cam"})
    add_producer_metrics(metrics, snapshot(blocked=True, published_s=9), watched=True, healthy=False)
    found = {
        (sample.name.removeprefix("fanlight_producer_"), sample.labels.get("reason")): sample.value
        for family in metrics.families
        for sample in family.samples
    }
    assert found["published_bytes_total", None] == 1000
    assert found["blocked_seconds_total", None] == 2.0
    assert {reason for name, reason in found if name == "dropped_frames_total"} == {*Drop, "unsent"}
    assert (found["watched", None], found["healthy", None], found["connected", None]) == (1, 0, 1)
