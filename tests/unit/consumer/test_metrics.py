from __future__ import annotations

from dataclasses import replace

import pytest

from fanlight.common.observe.exposition import MetricSet
from fanlight.consumer.metrics import add_consumer_metrics, consumer_health
from fanlight.consumer.stats import ConsumerCounters, ConsumerMetrics, Outcome, Presented, ResultCounts
from tests.support.headers import header

SECOND = 1_000_000_000
STALL_S = 3.0


def snapshot(
    *, connected: bool = True, blocked: bool = False, fate: Outcome | None = None, no_frame: str = ""
) -> ConsumerMetrics:
    counters = ConsumerCounters()
    counters.connection(up=connected)
    counters.blocked(blocked)
    counters.presented.append(Presented(header(), 0, 0, SECOND // 50, -SECOND // 1000, SECOND, False))
    counters.count_presented()
    if fate is not None:
        counters.dropped(header(), 0, fate)
    counters.no_frame = no_frame
    return counters.metrics(SECOND)


def added(found: ConsumerMetrics, *, waiting: int | None = None) -> dict[tuple[str, ...], float]:
    """The value of each metric, by its name and the labels that not all of them have."""
    metrics = MetricSet("fanlight_consumer", {"stream": "cam", "name": "wall"})
    add_consumer_metrics(metrics, found, {"broker": waiting, "process": 2}, max_age_s=0.5, healthy=True)
    assert len({family.name for family in metrics.families}) == len(metrics.families)
    assert all(family.documentation.endswith(".") for family in metrics.families)
    return {
        (sample.name.removeprefix("fanlight_consumer_"), *list(sample.labels.values())[2:]): sample.value
        for family in metrics.families
        for sample in family.samples
    }


def test_every_outcome_is_counted_by_its_name() -> None:
    found = added(snapshot(fate=Outcome.LATE))
    assert {labels[1]: value for labels, value in found.items() if labels[0] == "frames_total"} == {
        "presented": 1, "superseded": 0, "late": 1, "undecodable": 0, "awaiting_key": 0,
        "malformed": 0, "repeated": 0, "lost": 0,
    }  # fmt: skip
    assert ("queue_frames", "broker") not in found, "it is not known"
    assert (found["queue_frames", "process"], found["healthy",]) == (2, 1)


def test_what_became_of_results_is_counted() -> None:
    counters = ConsumerCounters()
    counters.result_counts = lambda: ResultCounts(presented=5, late=2)
    found = added(counters.metrics(SECOND))
    assert {labels[1]: value for labels, value in found.items() if labels[0] == "results_total"} == {
        "presented": 5, "late": 2, "unused": 0, "duplicate": 0, "overflow": 0, "refused": 0, "excess": 0,
    }  # fmt: skip


def test_ages_and_skews_are_counted_by_size() -> None:
    found = added(snapshot(), waiting=7)
    assert (found["age_seconds_bucket", "0.01"], found["age_seconds_bucket", "0.02"]) == (0, 1)
    assert (found["age_seconds_sum",], found["skew_seconds_sum",]) == (0.02, 0.001)
    assert (found["queue_frames", "broker"], found["max_age_seconds",]) == (7, 0.5)


def test_a_consumer_is_healthy_while_frames_flow() -> None:
    assert consumer_health(snapshot(), 4 * SECOND, STALL_S).ok
    # Just cut off: frames flowed a moment ago, and may again in the next.
    assert consumer_health(snapshot(connected=False), 4 * SECOND, STALL_S).ok
    assert not consumer_health(snapshot(), 4 * SECOND + 1, STALL_S).ok


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (snapshot(connected=False, blocked=True), "no frame for 9 s: not connected"),
        (snapshot(blocked=True), "no frame for 9 s: broker blocked: it is short of memory or disk"),
        (snapshot(no_frame="awaiting a keyframe"), "no frame for 9 s: awaiting a keyframe"),
        (snapshot(), "no frame for 9 s: connected, but nothing arrives; is a producer running?"),
        (replace(snapshot(), presented_ns=None), "no frame yet: connected, but nothing arrives"),
    ],
)
def test_health_says_why_frames_do_not_flow(found: ConsumerMetrics, reason: str) -> None:
    health = consumer_health(found, 10 * SECOND, STALL_S)
    assert not health.ok
    assert health.reason.startswith(reason)
