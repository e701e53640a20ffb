"""Draws the runs: latency and skew as distributions, CPU by role."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.measure import traces
from scripts.measure.runs import Result

_ROLES = ("consumers", "hub", "producer", "broker")


def draw(results: Path, runs: Mapping[str, Result]) -> None:
    """Write latency.png, skew.png and cpu.png of the last run of each case."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    if not runs:
        return
    traced = {case: run for case, run in runs.items() if any(run.shown)}
    if traced:
        figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
        for case, run in traced.items():
            _cumulative(axes, sorted(s.age_ms for shown in run.shown for s in shown), case)
        axes.set(xscale="log", xlabel="age at presentation, ms", ylabel="share of frames")
        _finish(figure, axes, results / "latency.png")
        figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
        for case, run in traced.items():
            if run.viewers > 1:
                _cumulative(axes, sorted(traces.spreads(run.shown)), case)
        axes.set(xscale="log", xlabel="latest minus earliest consumer, ms", ylabel="share of frames")
        _finish(figure, axes, results / "skew.png")
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.35 * len(runs)), layout="constrained")
    left = [0.0] * len(runs)
    for role in _ROLES:
        cores = [run.cores[role] for run in runs.values()]
        axes.barh(list(runs), cores, left=left, label=role)
        left = [before + value for before, value in zip(left, cores, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="cores")
    _finish(figure, axes, results / "cpu.png")


def _cumulative(axes: Any, values: list[float], label: str) -> None:
    axes.plot(values, [(at + 1) / len(values) for at in range(len(values))], label=label)


def _finish(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    from matplotlib import pyplot

    pyplot.close(figure)
