"""`bench.py designs`: threads, multiplexing and message passing under the same load, side by side."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from scripts.measure import designs, sampler, syscalls, traces
from scripts.measure.designs import Design
from scripts.measure.processes import RunFailed
from scripts.measure.progress import Progress
from scripts.measure.runs import Bench, Result, Running
from scripts.measure.sampler import Sampler, Taken

NAMES: Final = ("threads", "multiplex", "broker", "hub")
CLIENTS: Final = (1, 5, 10, 20, 40)
SIZES: Final = ("640x480", "1280x720")
CODECS: Final = ("h264", "jpeg")
# The original watched ten clients for longer.
_LONGER: Final = {10: 2.0}
# More clients than these are tried only where these were served.
_ENOUGH: Final = 20
_SERVED_FPS: Final = 27.0
_QUANTILES: Final = tuple(at / 200 for at in range(1, 201))
_NEVER: Final = float("inf")
_STRACE_S: Final = 5.0
_STRACE_CLIENTS: Final = 10
# Start, settling and end of a run, for the time left.
_AROUND_S: Final = 9.0
_PER_CLIENT_S: Final = 0.15


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes:
        seconds: of each window; ten clients are watched for twice as long.
    """

    designs: Sequence[str]
    clients: Sequence[int]
    sizes: Sequence[str]
    codecs: Sequence[str]
    seconds: float
    repeats: int
    traced_syscalls: bool = True


WHOLE: Final = Plan(NAMES, CLIENTS, SIZES, CODECS, seconds=20.0, repeats=3)
# A first look at the same, in two minutes.
QUICK: Final = Plan(NAMES, (1, 10), SIZES[:1], CODECS[:1], seconds=2.0, repeats=1, traced_syscalls=False)


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the plan.

    All designs of one load follow one another, so that a drift of the machine meets all of them alike; a
    repeat is complete before the next begins.
    """

    repeat: int
    size: str
    codec: str
    viewers: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} x {self.viewers}, {self.size} {self.codec}"

    @property
    def design(self) -> Design:
        """The commands."""
        if self.name in ("threads", "multiplex"):
            return designs.fanlight(self.name, codec=self.codec, tcp=self.name)
        via = "host" if self.name == "hub" else "broker"
        return designs.fanlight(self.name, codec=self.codec, via=via)


def cells(plan: Plan) -> list[Cell]:
    """All runs, in order."""
    return [
        Cell(repeat, size, codec, viewers, name)
        for repeat in range(plan.repeats)
        for size in plan.sizes
        for codec in plan.codecs
        for viewers in plan.clients
        for name in plan.designs
    ]


class Comparison:
    """Runs a plan and keeps every result at once, so that whatever ends it, what is done is kept.

    Args:
        clip: footage of a size.
        counted: how the broker is counted, for the report.
    """

    def __init__(
        self,
        plan: Plan,
        bench: Bench,
        clip: Callable[[str], Path],
        counted: str,
        show: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._bench = bench
        self._clip = clip
        self._counted = counted
        self._show = show
        self._not_served: set[tuple[str, str, str]] = set()
        self.runs: list[dict[str, Any]] = []
        self.failed = 0

    def run(self) -> None:
        """Run everything. KeyboardInterrupt passes through."""
        planned = cells(self._plan)
        progress = Progress(sum(map(self._takes_s, planned)), self._show)
        for number, cell in enumerate(planned, 1):
            progress.show(f"{number}/{len(planned)} {cell}")
            if cell.viewers > _ENOUGH and (cell.size, cell.codec, cell.name) in self._not_served:
                progress.done(self._takes_s(cell))
                continue
            try:
                self._keep(cell)
            except RunFailed as error:
                self.failed += 1
                self._show(f"{cell} failed: {error}")
            progress.done(self._takes_s(cell))
        progress.end()
        if self._plan.traced_syscalls:
            self._trace_syscalls()

    def _span_s(self, cell: Cell) -> float:
        return self._plan.seconds * _LONGER.get(cell.viewers, 1.0)

    def _takes_s(self, cell: Cell) -> float:
        return self._span_s(cell) + _AROUND_S + _PER_CLIENT_S * cell.viewers

    def _keep(self, cell: Cell) -> None:
        taken: list[tuple[Taken, Running]] = []

        def watch(running: Running) -> None:
            watched = Sampler(running.roles, running.fleet.check).run(self._span_s(cell))
            taken.append((watched, running))

        result = self._bench.run(
            cell.design, cell.viewers, self._clip(cell.size), span_s=self._span_s(cell), during=watch
        )
        watched, running = taken[0]
        folder = running.place.folder
        sampler.write(folder / "samples.csv", watched.samples)
        row = {**asdict(cell), "folder": folder.name, "broker_counted": self._counted}
        row |= _figures(result, watched, folder)
        (folder / "run.json").write_text(json.dumps(row, indent=1) + "\n")
        self.runs.append(row)
        if cell.viewers == _ENOUGH and row["fps_worst"] < _SERVED_FPS:
            self._not_served.add((cell.size, cell.codec, cell.name))

    def _trace_syscalls(self) -> None:
        size, codec = self._plan.sizes[0], self._plan.codecs[0]
        found: dict[str, Any] = {}
        for name in self._plan.designs:
            self._show(f"system calls: {name} x {_STRACE_CLIENTS}, {size} {codec}")

            def trace(running: Running, name: str = name) -> None:
                roles = {**running.roles, "consumers": running.roles["consumers"][:1]}
                found[name] = syscalls.count(roles, _STRACE_S, running.place.folder)

            cell = Cell(0, size, codec, _STRACE_CLIENTS, name)
            try:
                self._bench.run(cell.design, cell.viewers, self._clip(size), span_s=_STRACE_S, during=trace)
            except RunFailed as error:
                self.failed += 1
                self._show(f"system calls of {name} failed: {error}")
        what = {
            "clients": _STRACE_CLIENTS, "size": size, "codec": codec, "per_second": found,
            "consumers": "one of them",
        }  # fmt: skip
        (self._bench.folder / "syscalls.json").write_text(json.dumps(what, indent=1) + "\n")


def _figures(result: Result, watched: Taken, folder: Path) -> dict[str, Any]:
    ages = sorted(s.age_ms for shown in result.shown for s in shown)
    per_client = [sorted(s.age_ms for s in shown) for shown in result.shown]
    spreads = sorted(traces.spreads(result.shown))
    clients = [folder / f"trace-{number}.csv" for number in range(result.viewers)]
    fates = traces.fates(clients, watched.begin_ns, watched.end_ns)
    cores = {**watched.cores, "total": sum(watched.cores.values())}
    pss, rss = (_memory(watched, kind) for kind in ("pss_mib", "rss_mib"))
    return {
        "span_s": round(result.span_s, 2),
        "begin_ns": watched.begin_ns,
        "end_ns": watched.end_ns,
        "fps": [round(fps, 2) for fps in result.figures.fps],
        "fps_worst": round(result.fps_worst, 2),
        "age_p50_ms": _rounded(ages, 0.5),
        "age_p95_ms": _rounded(ages, 0.95),
        "age_p99_ms": _rounded(ages, 0.99),
        "age_max_ms": _rounded(ages, 1.0),
        "age_p50_worst_client_ms": max(_rounded(own, 0.5) if own else _NEVER for own in per_client),
        "age_p99_worst_client_ms": max(_rounded(own, 0.99) if own else _NEVER for own in per_client),
        "skew_p50_ms": _rounded(spreads, 0.5),
        "skew_p99_ms": _rounded(spreads, 0.99),
        "fates": dict(fates),
        **{f"cores_{role}": round(value, 4) for role, value in cores.items()},
        **{f"pss_{role}_mib": value for role, value in pss.items()},
        **{f"rss_{role}_mib": value for role, value in rss.items()},
        "pss_per_consumer_mib": round(statistics.median(result.pss_mib), 2),
        "switches_per_s": {role: [round(a, 1), round(b, 1)] for role, (a, b) in watched.switches.items()},
        "loopback_mib_s": round(watched.loopback_mib_s, 3),
        "age_quantiles_ms": [_rounded(ages, at) for at in _QUANTILES],
        "skew_quantiles_ms": [_rounded(spreads, at) for at in _QUANTILES],
    }


def _memory(watched: Taken, kind: str) -> dict[str, float]:
    """Mean over the window, by role and in total."""
    series: Sequence[Mapping[str, float]] = [getattr(sample, kind) for sample in watched.samples]
    means = {role: statistics.fmean(one[role] for one in series) for role in series[0]}
    means["total"] = sum(means.values())
    return {role: round(value, 2) for role, value in means.items()}


def _rounded(values: Sequence[float], fraction: float) -> float:
    return round(traces.at(values, fraction), 3)
