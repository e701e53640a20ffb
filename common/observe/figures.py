"""What is told to whoever watches: figures under the names of Prometheus' conventions, and health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fanlight.common.model.histogram import Distribution


class Kind(StrEnum):
    """Of a figure."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Sample(NamedTuple):
    """One value; a `Distribution` of a histogram, a number of the others."""

    labels: Mapping[str, str]
    value: float | Distribution


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with all its samples, which have the same labels.

    Attributes:
        name: with its unit; of a counter, with `_total` at its end.
    """

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether frames flow, and if not, why: one sentence."""

    ok: bool
    reason: str


class Figures:
    """Collects figures that share their labels."""

    def __init__(self, prefix: str, labels: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._labels = labels
        self._figures: list[Figure] = []

    def add(self, name: str, kind: Kind, text: str, value: float | Distribution | None) -> None:
        """One figure with one sample; left out if there is no value."""
        if value is not None:
            self._add(name, kind, text, (Sample(self._labels, value),))

    def add_by(
        self, label: str, name: str, kind: Kind, text: str, values: Mapping[str, float | None]
    ) -> None:
        """One figure with a sample for each value of a label."""
        samples = tuple(
            Sample({**self._labels, label: key}, value)
            for key, value in values.items()
            if value is not None
        )
        self._add(name, kind, text, samples)

    def _add(self, name: str, kind: Kind, text: str, samples: tuple[Sample, ...]) -> None:
        self._figures.append(Figure(f"{self._prefix}_{name}", kind, text, samples))

    def all(self) -> tuple[Figure, ...]:
        return tuple(self._figures)
