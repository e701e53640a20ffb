from __future__ import annotations

import subprocess
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from fanlight.common.model.histogram import Distribution
from fanlight.common.observe.exposition import Exposition
from fanlight.common.observe.figures import Figure, Kind, Sample
from tests.support.timing import scaled

LABELS = {"stream": "cam", "name": 'a"b\n'}
FIGURES = (
    Figure("fanlight_frames_total", Kind.COUNTER, "Frames.", (Sample(LABELS, 3),)),
    Figure("fanlight_jitter_seconds", Kind.GAUGE, "Jitter.", (Sample(LABELS, 0.5),)),
    Figure("fanlight_nothing", Kind.GAUGE, "None known.", ()),
    Figure(
        "fanlight_age_seconds",
        Kind.HISTOGRAM,
        "Age.",
        (Sample(LABELS, Distribution((0.5, 1.0), (2, 0, 1), 4.5)),),
    ),
)


def test_what_is_written_can_be_read() -> None:
    kind, body = Exposition(lambda: FIGURES)(None)
    assert kind.startswith("text/plain")
    samples = {
        (sample.name, sample.labels.get("le")): (sample.value, sample.labels)
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["fanlight_frames_total", None] == (3, LABELS)
    assert samples["fanlight_jitter_seconds", None] == (0.5, LABELS)
    classes = [samples["fanlight_age_seconds_bucket", bound][0] for bound in ("0.5", "1", "+Inf")]
    assert classes == [2, 2, 3]
    assert samples["fanlight_age_seconds_count", None][0] == 3
    assert samples["fanlight_age_seconds_sum", None][0] == 4.5
    assert samples["process_resident_memory_bytes", None][0] > 1e6


def test_scrapers_get_the_format_that_they_ask_for() -> None:
    kind, body = Exposition(lambda: FIGURES)("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    families = open_metrics(body.decode())  # type: ignore[no-untyped-call]
    assert {"fanlight_frames", "fanlight_age_seconds"} <= {family.name for family in families}


def test_figures_are_read_at_every_scrape() -> None:
    calls: list[int] = []

    def figures() -> tuple[Figure, ...]:
        calls.append(1)
        return FIGURES

    exposition = Exposition(figures)
    assert calls == []
    exposition(None)
    exposition(None)
    assert len(calls) == 2


def test_who_is_not_watched_loads_nothing_of_it() -> None:
    code = (
        "import sys\n"
        "from fanlight.common.runtime.memory import lean_process\n"
        "lean_process()\n"
        "import fanlight.consumer.metrics, fanlight.consumer.presenter, fanlight.producer.metrics\n"
        "from fanlight.common.observe import monitored\n"
        "with monitored(None, tuple, lambda: None): pass\n"
        "print([name for name in ('prometheus_client', 'http.server', 'email') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(60)
    )
    assert done.stdout.strip() == "[]"
