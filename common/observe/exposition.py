"""Writes metrics in the formats that Prometheus reads. Imported only where `--metrics` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from fanlight.common.model.histogram import Distribution


class MetricSet:
    """The metrics of one scrape. A value that is None is left out.

    Args:
        prefix: of all their names.
        labels: of all of them.

    Attributes:
        families: what was added, in Prometheus' own classes.
    """

    def __init__(self, prefix: str, labels: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._labels = dict(labels)
        self.families: list[Metric] = []

    def counter(self, name: str, description: str, value: float) -> None:
        self.counters(name, description, "", {"": value})

    def counters(self, name: str, description: str, label: str, values: Mapping[str, float]) -> None:
        """One metric with a value for each value of a label."""
        self._add(
            CounterMetricFamily(f"{self._prefix}_{name}", description, labels=self._names(label)), values
        )

    def gauge(self, name: str, description: str, value: float | None) -> None:
        self.gauges(name, description, "", {"": value})

    def gauges(self, name: str, description: str, label: str, values: Mapping[str, float | None]) -> None:
        """One metric with a value for each value of a label."""
        self._add(
            GaugeMetricFamily(f"{self._prefix}_{name}", description, labels=self._names(label)), values
        )

    def histogram(self, name: str, description: str, value: Distribution) -> None:
        family = HistogramMetricFamily(f"{self._prefix}_{name}", description, labels=self._names(""))
        bounds = (*(f"{bound:g}" for bound in value.bounds), "+Inf")
        buckets = list(zip(bounds, accumulate(value.counts), strict=True))
        family.add_metric(list(self._labels.values()), buckets, value.total)
        self.families.append(family)

    def _names(self, label: str) -> list[str]:
        return [*self._labels, *([label] if label else [])]

    def _add(
        self, family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, float | None]
    ) -> None:
        for key, value in values.items():
            if value is not None:
                family.add_metric([*self._labels.values(), *([key] if key else [])], value)
        if family.samples:
            self.families.append(family)


class Exposition(Collector):
    """All metrics of this process, with those of its memory, CPU time and file descriptors.

    Args:
        add_metrics: called at every scrape, in the scraper's thread.
    """

    def __init__(
        self, prefix: str, labels: Mapping[str, str], add_metrics: Callable[[MetricSet], None]
    ) -> None:
        self._prefix = prefix
        self._labels = labels
        self._add_metrics = add_metrics
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def __call__(self, accept: str | None) -> tuple[str, bytes]:
        """Content type and body, in the format that the scraper accepts."""
        encode, content_type = choose_encoder(accept or "")
        return content_type, encode(self._registry)

    def describe(self) -> Iterable[Metric]:
        return ()  # names are not looked up before the first scrape

    def collect(self) -> Iterable[Metric]:
        metrics = MetricSet(self._prefix, self._labels)
        self._add_metrics(metrics)
        return metrics.families
