"""Writes figures in the formats that Prometheus reads. Imported only where `--metrics` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from fanlight.common.model.histogram import Distribution
from fanlight.common.observe.figures import Figure, Kind, Sample


class Exposition:
    """All figures of this process, with those of its memory, CPU time and file descriptors.

    Args:
        figures: called at every scrape, in the scraper's thread.
    """

    def __init__(self, figures: Callable[[], Iterable[Figure]]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Collector(figures))

    def __call__(self, accept: str | None) -> tuple[str, bytes]:
        """Content type and body, in the format that the scraper accepts."""
        encode, content_type = choose_encoder(accept or "")
        return content_type, encode(self._registry)


class _Collector(Collector):
    def __init__(self, figures: Callable[[], Iterable[Figure]]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        return ()  # names are not looked up before the first scrape

    def collect(self) -> Iterator[Metric]:
        for figure in self._figures():
            yield _family(figure)


def _family(figure: Figure) -> Metric:
    names = tuple(figure.samples[0].labels) if figure.samples else ()
    if figure.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(figure.name, figure.help, labels=names)
        for sample in figure.samples:
            _add_distribution(histogram, sample)
        return histogram
    family = CounterMetricFamily if figure.kind is Kind.COUNTER else GaugeMetricFamily
    plain = family(figure.name, figure.help, labels=names)
    for labels, value in figure.samples:
        if not isinstance(value, Distribution):
            plain.add_metric(tuple(labels.values()), value)
    return plain


def _add_distribution(family: HistogramMetricFamily, sample: Sample) -> None:
    if isinstance(sample.value, Distribution):
        bounds = (*(f"{bound:g}" for bound in sample.value.bounds), "+Inf")
        buckets = list(zip(bounds, accumulate(sample.value.counts), strict=True))
        family.add_metric(tuple(sample.labels.values()), buckets, sample.value.total)
