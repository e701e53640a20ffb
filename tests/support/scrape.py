"""Reads what a command serves under `--metrics`, as Prometheus and a load balancer would."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.support.timing import scaled


@dataclass(frozen=True, slots=True)
class Scrape:
    """Samples by name and the labels that tell them apart (all but stream and name)."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def __call__(self, name: str, **labels: str) -> float:
        return self.values[f"fanlight_{name}", frozenset(labels.items())]

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.values}


def scrape(port: int) -> Scrape:
    """All samples of `/metrics`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=scaled(10)) as answer:
        text = answer.read().decode()
    return Scrape(
        {
            (
                sample.name,
                frozenset(item for item in sample.labels.items() if item[0] not in ("stream", "name")),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


def health(port: int) -> tuple[int, str]:
    """Status and reason of `/healthz`; (0, "") while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=scaled(10)) as answer:
            return answer.status, json.load(answer)["reason"]
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)["reason"]
    except OSError:
        return 0, ""
