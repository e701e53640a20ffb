"""The report of a results folder: tables, plots, and one page that holds all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.measure import charts, tables
from scripts.measure.page import page


def write(results: Path) -> str:
    """Write runs.csv, summary.md, the plots and report.html; returns the summary.

    Raises:
        FileNotFoundError: nothing was measured there.
    """
    runs = tables.read(results)
    if not runs:
        raise FileNotFoundError(
            f"{results} has no run.json of a finished run: run scripts/bench.py designs"
        )
    machine = json.loads((results / "machine.json").read_text())
    tables.keep(results, runs)
    found = tables.limit_checks(runs)
    parts = {
        "What had to be reached": tables.checked(found),
        "Figures": tables.figures(runs),
        "What became of the frames": tables.fates(runs),
        "Context switches per second, and traffic": tables.switches(runs),
    }
    syscalls = _json(results / "syscalls.json")
    if syscalls is not None:
        parts["System calls per second"] = _syscalls(syscalls)
    notes = [f"Broker counted: {runs[0]['broker_counted']}."]
    count = _json(results / "broker_count.json")
    if count is not None:
        notes.append(
            f"Check, in a container: {count['cgroup_cores']:.4f} cores by its cgroup (Docker SDK), "
            f"{count['processes_cores']:.4f} by its processes, {count['apart']:.1%} apart."
        )
    for name, waits in (_json(results / "joins.json") or {}).items():
        notes.append(
            f"First picture after a join, {name}: median {waits['p50_ms']:.0f} ms, longest "
            f"{waits['max_ms']:.0f} ms of {waits['joins']}."
        )
    summary = "\n\n".join(
        [*notes, *(f"## {title}\n\n{tables.markdown(rows)}" for title, rows in parts.items())]
    )
    (results / "summary.md").write_text(summary + "\n")
    plots = charts.draw(results, runs, int(machine["cores"]))
    (results / "report.html").write_text(page(machine, notes, parts, plots))
    short = tables.markdown(parts["What had to be reached"]) + "\n\n" + tables.markdown(parts["Figures"])
    where = f"raw data, tables, plots: {results}\nto look at: {results / 'report.html'}"
    return f"{short}\n\n{' '.join(notes)}\n{where}"


def _json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def _syscalls(counted: dict[str, Any]) -> list[list[str]]:
    """The most frequent ones, by design and role."""
    rows = [["design", "process", "all", "most of them"]]
    for design, roles in counted["per_second"].items():
        for role, calls in roles.items():
            most = ", ".join(f"{name} {rate:.0f}" for name, rate in list(calls.items())[:6])
            shown = "one consumer" if role == "consumers" else role
            rows.append([design, shown, f"{sum(calls.values()):.0f}", most])
    return rows
