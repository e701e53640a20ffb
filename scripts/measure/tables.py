"""Reads what `bench.py designs` left and makes tables of it: medians, spread, limits."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.measure.goals import to_csv

Runs = Sequence[Mapping[str, Any]]

# With so many clients and more the broker has to be a match for the threads.
_FROM_CLIENTS: Final = 10
BROKER_RATIO: Final = 1.05
HUB_RATIO: Final = 0.5
_FPS_SLACK: Final = 0.5
ROLES: Final = ("producer", "broker", "hub", "consumers")


@dataclass(frozen=True, slots=True, order=True)
class Load:
    """What is alike for the designs that are compared."""

    size: str
    codec: str
    viewers: int

    def __str__(self) -> str:
        return f"{self.size} {self.codec} × {self.viewers}"


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """One thing that had to be reached under one load.

    Attributes:
        served: whether its worst client got as many frames as that of the threads: less is easier.
    """

    load: Load
    what: str
    value: float
    limit: float
    served: bool = True

    @property
    def reached(self) -> bool:
        return self.served and self.value <= self.limit


def read(results: Path) -> list[dict[str, Any]]:
    """All runs of a results folder, in order."""
    return [json.loads(path.read_text()) for path in sorted(results.glob("*/run.json"))]


def samples(results: Path, run: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """The samples of a run: by role, the columns `at_s`, `cores`, `pss_mib`, `rss_mib`."""
    by_role: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with (results / run["folder"] / "samples.csv").open() as file:
        for row in csv.DictReader(file):
            for column in ("at_s", "cores", "pss_mib", "rss_mib"):
                by_role[row["role"]][column].append(float(row[column]))
    return by_role


def by_load(runs: Runs) -> dict[Load, dict[str, list[Mapping[str, Any]]]]:
    """Runs by load and design."""
    found: dict[Load, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        found[Load(run["size"], run["codec"], run["viewers"])][run["name"]].append(run)
    return dict(sorted(found.items()))


def median(runs: Runs, figure: str) -> float:
    """Over the repeats; NaN if no run has the figure."""
    values = _values(runs, figure)
    return statistics.median(values) if values else float("nan")


def _values(runs: Runs, figure: str) -> list[float]:
    values = [float(run[figure]) for run in runs if run.get(figure) is not None]
    return [value for value in values if not math.isnan(value)]


def spread(runs: Runs, figure: str) -> tuple[float, float]:
    """Least and greatest of the repeats."""
    values = _values(runs, figure)
    return (min(values), max(values)) if values else (float("nan"), float("nan"))


def limit_checks(runs: Runs) -> list[LimitCheck]:
    """What had to be reached, load by load."""
    found = []
    for load, designs in by_load(runs).items():
        threads, broker, hub = (designs.get(name) for name in ("threads", "broker", "hub"))
        if load.viewers < _FROM_CLIENTS or not threads:
            continue
        cores, fps = median(threads, "cores_total"), median(threads, "fps_worst") - _FPS_SLACK
        if broker:
            served = median(broker, "fps_worst") >= fps
            ratio = median(broker, "cores_total") / cores
            found.append(LimitCheck(load, "broker: CPU, ratio to threads", ratio, BROKER_RATIO, served))
            for figure, name in (
                ("skew_p50_ms", "skew p50, ms"),
                ("skew_p99_ms", "skew p99, ms"),
                ("age_p50_worst_client_ms", "latency p50 of the worst client, ms"),
                ("age_p99_worst_client_ms", "latency p99 of the worst client, ms"),
            ):
                limit = median(threads, figure)
                value = median(broker, figure)
                found.append(LimitCheck(load, f"broker: {name} (threads')", value, limit, served))
        if hub:
            served = median(hub, "fps_worst") >= fps
            ratio = median(hub, "cores_total") / cores
            found.append(LimitCheck(load, "hub: CPU, ratio to threads", ratio, HUB_RATIO, served))
    return found


_COLUMNS: Final = (
    ("fps_worst", "fps, worst client", ".1f"),
    ("age_p50_ms", "latency p50", ".1f"),
    ("age_p95_ms", "p95", ".1f"),
    ("age_p99_ms", "p99", ".1f"),
    ("age_p99_worst_client_ms", "p99 of the worst client", ".1f"),
    ("skew_p50_ms", "skew p50", ".1f"),
    ("skew_p99_ms", "p99", ".1f"),
    ("cores_producer", "producer", ".3f"),
    ("cores_broker", "broker", ".3f"),
    ("cores_hub", "hub", ".3f"),
    ("cores_consumers", "consumers", ".3f"),
    ("cores_total", "CPU, all", ".3f"),
    ("pss_total_mib", "PSS, all", ".0f"),
    ("pss_producer_mib", "producer", ".1f"),
    ("pss_per_consumer_mib", "per consumer", ".1f"),
)


def figures(runs: Runs) -> list[list[str]]:
    """One row per load and design: medians, and for CPU the spread. The first row has the names."""
    rows = [["load", "design", "runs", *(title for _, title, _ in _COLUMNS)]]
    for load, designs in by_load(runs).items():
        for name, repeats in designs.items():
            cells = []
            for figure, _, form in _COLUMNS:
                value = median(repeats, figure)
                text = "" if value != value else format(value, form)  # noqa: PLR0124 - NaN
                if figure == "cores_total" and len(repeats) > 1:
                    low, high = spread(repeats, figure)
                    text += f" ({low:{form}}–{high:{form}})"
                cells.append(text)
            rows.append([str(load), name, str(len(repeats)), *cells])
    return rows


def checked(found: Iterable[LimitCheck]) -> list[list[str]]:
    """One row per check. The first row has the names."""
    rows = [["load", "what", "measured", "at most", ""]]
    for one in found:
        reached = "yes" if one.reached else "**no**" if one.served else "**fewer frames**"
        shown = [f"{one.value:.3g}", f"{one.limit:.3g}", reached]
        rows.append([str(one.load), one.what, *shown])
    return rows


def fates(runs: Runs) -> list[list[str]]:
    """What became of the frames that were published, client by client: shares of all, over the repeats."""
    names = sorted({name for run in runs for name in run["fates"]} - {"presented"})
    rows = [["load", "design", "presented", *names]]
    for load, designs in by_load(runs).items():
        for design, repeats in designs.items():
            total = {
                name: sum(run["fates"].get(name, 0) for run in repeats) for name in ("presented", *names)
            }
            whole = sum(total.values()) or 1
            rows.append([str(load), design, *(f"{count / whole:.2%}" for count in total.values())])
    return rows


def switches(runs: Runs) -> list[list[str]]:
    """Context switches per second, voluntary + involuntary, and bytes over the loopback interface."""
    rows = [["load", "design", *ROLES, "loopback, MiB/s"]]
    for load, designs in by_load(runs).items():
        for design, repeats in designs.items():
            cells = []
            for role in ROLES:
                pairs = [run["switches_per_s"][role] for run in repeats if role in run["switches_per_s"]]
                middle = [statistics.median(column) for column in zip(*pairs, strict=True)]
                cells.append(" + ".join(f"{value:.0f}" for value in middle))
            rows.append([str(load), design, *cells, f"{median(repeats, 'loopback_mib_s'):.2f}"])
    return rows


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def keep(results: Path, runs: Runs) -> None:
    """Everything that is one number, as CSV: a line per run."""
    plain = [
        {name: value for name, value in run.items() if not isinstance(value, (list, dict))} for run in runs
    ]
    to_csv(results / "runs.csv", plain)
