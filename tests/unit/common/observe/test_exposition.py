from __future__ import annotations

import subprocess
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from fanlight.common.model.histogram import Distribution
from fanlight.common.observe.exposition import Exposition, MetricSet
from tests.support.timing import scaled

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


def test_scrapers_get_the_format_that_they_ask_for() -> None:
    exposition = Exposition("fanlight_x", LABELS, add_metrics)
    content_type, body = exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = open_metrics(body.decode())  # type: ignore[no-untyped-call]
    assert {"fanlight_x_frames", "fanlight_x_age_seconds"} <= {family.name for family in families}


def test_metrics_are_collected_at_every_scrape_and_not_before() -> None:
    scrapes: list[MetricSet] = []
    exposition = Exposition("fanlight_x", LABELS, scrapes.append)
    assert scrapes == []
    exposition(None)
    exposition(None)
    assert len(scrapes) == 2


def test_a_process_without_metrics_loads_nothing_of_them() -> None:
    code = (
        "import sys\n"
        "from fanlight.common.runtime.memory import lean_process\n"
        "lean_process()\n"
        "import fanlight.consumer.metrics, fanlight.consumer.presenter, fanlight.producer.metrics\n"
        "from fanlight.common.observe import monitored\n"
        "with monitored(None, '', {}, lambda _: None, lambda: None): pass\n"
        "print([name for name in ('prometheus_client', 'http.server', 'email') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(60)
    )
    assert done.stdout.strip() == "[]"
