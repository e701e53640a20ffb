"""`bench.py drops`: why CPU, drawn against time, seems to drop periodically. Two causes, and neither.

Payloads of several frames: while one fills, nobody else has anything to do. And the meter: what /proc shows
(and psutil reads) counts whole ticks of 10 ms, of which a light process has none in many a sample.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from scripts.measure import designs
from scripts.measure.counters import cpu_clock_s, cpu_s
from scripts.measure.designs import Design
from scripts.measure.runs import Bench, Running

HZ: Final = 10
_CLIENTS: Final = 10
# A second at 30 fps holds three of them.
PAYLOAD_FRAMES: Final = 10


def cases() -> dict[str, Design]:
    """What is run."""
    return {
        "threads, a payload of 1 frame": designs.fanlight("threads", tcp="threads"),
        f"threads, payloads of {PAYLOAD_FRAMES} frames": designs.fanlight(
            "payloads", tcp="threads", producing=("--payload-frames", str(PAYLOAD_FRAMES))
        ),
        "broker": designs.fanlight("broker"),
    }


def run(bench: Bench, clip: Path, span_s: float, show: Callable[[str], None]) -> list[dict[str, Any]]:
    """All cases; what was seen is kept as drops.json and drawn as drops.png."""
    rows = []
    for title, design in cases().items():
        seen: list[dict[str, list[float]]] = []

        def watch(running: Running, seen: list[dict[str, list[float]]] = seen) -> None:
            seen.append(_sampled(running, span_s))

        bench.run(design, _CLIENTS, clip, span_s=span_s, during=watch)
        rows += [
            {"case": title, "process": name, "cores": values, **deep(values)}
            for name, values in seen[0].items()
        ]
        for row in rows[-len(seen[0]) :]:
            show(
                f"{title}: {row['process']}: {row['mean']:.3f} cores, "
                f"{row['low']:.0%} of the samples under half of it"
            )
    (bench.folder / "drops.json").write_text(json.dumps(rows, indent=1) + "\n")
    _draw(bench.folder / "drops.png", rows)
    return rows


def deep(values: Sequence[float]) -> dict[str, float]:
    """The mean, and the share of samples that are below half of it."""
    mean = statistics.fmean(values)
    return {"mean": mean, "low": sum(v < mean / 2 for v in values) / len(values)}


def _sampled(running: Running, span_s: float) -> dict[str, list[float]]:
    consumers, one = running.roles["consumers"], running.roles["consumers"][:1]
    readers: dict[str, Callable[[], float]] = {
        "all consumers": lambda: sum(cpu_clock_s(pid) or 0.0 for pid in consumers),
        "one consumer": lambda: cpu_clock_s(one[0]) or 0.0,
        "one consumer, by ticks": lambda: cpu_s(one),
    }
    found: dict[str, list[float]] = {name: [] for name in readers}
    began_s = time.monotonic()
    before, before_s = {name: read() for name, read in readers.items()}, began_s
    for number in range(1, int(span_s * HZ) + 1):
        time.sleep(max(0.0, began_s + number / HZ - time.monotonic()))
        now, now_s = {name: read() for name, read in readers.items()}, time.monotonic()
        for name in readers:
            found[name].append((now[name] - before[name]) / (now_s - before_s))
        before, before_s = now, now_s
    running.fleet.check()
    return found


def _draw(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    titles = list(dict.fromkeys(row["case"] for row in rows))
    names = list(dict.fromkeys(row["process"] for row in rows))
    size = (3.6 * len(titles), 1.6 * len(names) + 0.4)
    figure, grid = pyplot.subplots(
        len(names), len(titles), figsize=size, squeeze=False, layout="constrained"
    )
    for row in rows:
        axes = grid[names.index(row["process"])][titles.index(row["case"])]
        at = [number / HZ for number in range(len(row["cores"]))]
        axes.plot(at, row["cores"], linewidth=0.9, color="#2a7f9e")
        axes.set_ylim(bottom=0)
        if row["process"] == names[0]:
            axes.set_title(row["case"], fontsize=9)
        if row["case"] == titles[0]:
            axes.set_ylabel(f"{row['process']}\ncores", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("s")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
