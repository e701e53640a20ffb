from __future__ import annotations

from dataclasses import replace

import pytest

from fanlight.common.model.histogram import Distribution
from fanlight.common.observe.figures import Figure
from fanlight.consumer.metrics import consumer_figures, consumer_health
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ConsumerCounters, ConsumerMetrics, Outcome, Presented
from tests.support.headers import header

SECOND = 1_000_000_000
STALL_S = 3.0
SETTINGS = ConsumerSettings(stream="cam", name="wall")


def details(
    *, connected: bool = True, blocked: bool = False, fate: Outcome | None = None
) -> ConsumerMetrics:
    counters = ConsumerCounters()
    counters.connection(up=connected)
    counters.blocked(blocked)
    counters.presented.append(Presented(header(), 0, 0, SECOND // 50, -SECOND // 1000, SECOND, False))
    counters.settle()
    if fate is not None:
        counters.dropped(header(), 0, fate)
    return counters.metrics(SECOND)


def values(figures: tuple[Figure, ...], name: str) -> dict[tuple[str, ...], float | Distribution]:
    (figure,) = [each for each in figures if each.name == f"fanlight_consumer_{name}"]
    return {tuple(sample.labels.values()): sample.value for sample in figure.samples}


def test_every_outcome_is_counted_by_its_name() -> None:
    figures = consumer_figures(SETTINGS, details(fate=Outcome.LATE), queued=2, waiting=None, healthy=True)
    by_outcome = {labels[2]: value for labels, value in values(figures, "frames_total").items()}
    assert by_outcome == {
        "presented": 1, "superseded": 0, "late": 1, "undecodable": 0, "awaiting_key": 0,
        "malformed": 0, "repeated": 0, "lost": 0,
    }  # fmt: skip
    assert values(figures, "queue_frames") == {("cam", "wall", "process"): 2}
    assert values(figures, "healthy") == {("cam", "wall"): True}


def test_ages_and_skews_are_counted_by_size() -> None:
    figures = consumer_figures(SETTINGS, details(), queued=0, waiting=7, healthy=True)
    (ages,) = values(figures, "age_seconds").values()
    (skews,) = values(figures, "skew_seconds").values()
    assert isinstance(ages, Distribution)
    assert isinstance(skews, Distribution)
    assert ages.counts[ages.bounds.index(0.02)] == 1
    assert (ages.total, skews.total) == (0.02, 0.001)
    assert values(figures, "queue_frames")["cam", "wall", "broker"] == 7


def test_names_are_prometheus_names_and_unique() -> None:
    figures = consumer_figures(SETTINGS, details(), queued=0, waiting=0, healthy=True)
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names)
    assert all((figure.kind == "counter") is figure.name.endswith("_total") for figure in figures)
    assert all(figure.help.endswith(".") for figure in figures)


def test_frames_that_flow_are_health() -> None:
    assert consumer_health(details(), 4 * SECOND, STALL_S).ok
    # Just cut off: frames flowed a moment ago, and may again in the next.
    assert consumer_health(details(connected=False), 4 * SECOND, STALL_S).ok
    assert not consumer_health(details(), 4 * SECOND + 1, STALL_S).ok


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (details(connected=False, blocked=True), "no frame for 9 s: not connected"),
        (details(blocked=True), "no frame for 9 s: broker blocked: it is short of memory or disk"),
        (details(fate=Outcome.AWAITING_KEY), "no frame for 9 s: awaiting a keyframe"),
        (details(fate=Outcome.LATE), "no frame for 9 s: what arrives is older than --max-age"),
        (details(fate=Outcome.UNDECODABLE), "no frame for 9 s: what arrives cannot be decoded"),
        (details(), "no frame for 9 s: connected, but nothing arrives; is a producer running?"),
        (replace(details(), presented_ns=None), "no frame yet: connected, but nothing arrives"),
    ],
)
def test_why_frames_do_not_flow(found: ConsumerMetrics, reason: str) -> None:
    health = consumer_health(found, 10 * SECOND, STALL_S)
    assert not health.ok
    assert health.reason.startswith(reason)
