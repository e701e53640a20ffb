from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from fanlight.common.model.histogram import Distribution
from fanlight.common.observe.exposition import Exposition, MetricSet

LABELS = {"stream": "cam", "name": 'a"b\n'}


def add_metrics(metrics: MetricSet) -> None:
    metrics.counter("frames_total", "Frames.", 3)
    metrics.counters("drops_total", "Drops.", "reason", {"late": 1, "lost": 2})
    metrics.gauge("jitter_seconds", "Jitter.", 0.5)
    metrics.gauge("nothing", "None known.", None)
    metrics.gauges("queue_frames", "Waiting.", "place", {"broker": None, "process": 2})
    metrics.histogram("age_seconds", "Age.", Distribution((0.5, 1.0), (2, 0, 1), 4.5))


def test_metrics_can_be_read_with_their_prefix_and_labels() -> None:
    content_type, body = Exposition("fanlight_x", LABELS, add_metrics)(None)
    assert content_type.startswith("text/plain")
    samples = {
        (sample.name, *(label for key, label in sample.labels.items() if key not in LABELS)): sample
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["process_resident_memory_bytes",].value > 1e6
    assert all(s.labels.items() >= LABELS.items() for key, s in samples.items() if "fanlight" in key[0])
    found = {key: sample.value for key, sample in samples.items() if key[0].startswith("fanlight_x_")}
    assert found == {
        ("fanlight_x_frames_total",): 3,
        ("fanlight_x_drops_total", "late"): 1,
        ("fanlight_x_drops_total", "lost"): 2,
        ("fanlight_x_jitter_seconds",): 0.5,
        ("fanlight_x_queue_frames", "process"): 2,
        ("fanlight_x_age_seconds_bucket", "0.5"): 2,
        ("fanlight_x_age_seconds_bucket", "1"): 2,
        ("fanlight_x_age_seconds_bucket", "+Inf"): 3,
        ("fanlight_x_age_seconds_count",): 3,
        ("fanlight_x_age_seconds_sum",): 4.5,
    }


def test_scrapers_get_new_figures_in_the_format_that_they_ask_for() -> None:
    scrapes: list[MetricSet] = []

    def add(metrics: MetricSet) -> None:
        scrapes.append(metrics)
        add_metrics(metrics)

    exposition = Exposition("fanlight_x", LABELS, add)
    assert scrapes == [], "not before the first scrape"
    exposition(None)
    content_type, body = exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = open_metrics(body.decode())  # type: ignore[no-untyped-call]
    assert {"fanlight_x_frames", "fanlight_x_age_seconds"} <= {family.name for family in families}
    assert len(scrapes) == 2
