"""Draws the study: the original's plots (CPU and memory against time), and those that it lacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scripts.measure import tables
from scripts.measure.tables import ROLES, Load, Runs

COLOURS: Final = {"threads": "#c8553d", "multiplex": "#e0a030", "broker": "#2a7f9e", "hub": "#3d5a80"}
_ROLE_COLOURS: Final = {
    "producer": "#c8553d",
    "broker": "#2a7f9e",
    "hub": "#3d5a80",
    "consumers": "#b8c4bb",
}
_OTHER: Final = "#777777"
_ByLoad = dict[Load, dict[str, list[Mapping[str, Any]]]]


def draw(results: Path, runs: Runs, cores: int) -> list[tuple[Path, str]]:
    """Write all plots; their files and what each of them shows.

    Args:
        cores: of the machine; drawn as a limit.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    drawn = []
    loads = tables.by_load(runs)
    for size, codec in dict.fromkeys((load.size, load.codec) for load in loads):
        chosen = {load: of for load, of in loads.items() if (load.size, load.codec) == (size, codec)}
        where = f"{size} {codec}"
        ending = f"{size}-{codec}.png"
        for kind, unit, title in (("cores", "cores", "CPU"), ("pss_mib", "MiB", "Memory (PSS)")):
            path = results / f"{title.split()[0].lower()}-time-{ending}"
            _against_time(path, results, chosen, kind, unit)
            drawn.append((path, f"{title} against time, {where}: by design (rows) and clients (columns)"))
        for kind, title in (("age", "Latency"), ("skew", "Skew")):
            path = results / f"{title.lower()}-{ending}"
            _distributions(path, chosen, f"{kind}_quantiles_ms")
            drawn.append((path, f"{title}, {where}: share of frames below"))
        path = results / f"clients-{ending}"
        _against_clients(path, chosen, cores)
        drawn.append((path, f"CPU, memory, skew and latency against the number of clients, {where}"))
    return drawn


def _against_time(path: Path, results: Path, loads: _ByLoad, kind: str, unit: str) -> None:
    names = list(dict.fromkeys(name for of in loads.values() for name in of))
    figure, grid = _grid(len(names), len(loads), 2.6, 1.7)
    for row, name in enumerate(names):
        for column, (load, of) in enumerate(loads.items()):
            axes = grid[row][column]
            if row == 0:
                axes.set_title(f"{load.viewers} clients" if load.viewers > 1 else "1 client")
            if column == 0:
                axes.set_ylabel(f"{name}\n{unit}")
            if name not in of:
                axes.text(0.5, 0.5, "not run", ha="center", transform=axes.transAxes, color=_OTHER)
                continue
            by_role = tables.samples(results, of[name][0])
            roles = [role for role in ROLES if role in by_role]
            at = next(iter(by_role.values()))["at_s"]
            colours = [_ROLE_COLOURS[role] for role in roles]
            axes.stackplot(at, *(by_role[role][kind] for role in roles), colors=colours, labels=roles)
            if kind == "pss_mib":
                rss = [sum(values) for values in zip(*(by_role[r]["rss_mib"] for r in roles), strict=True)]
                axes.plot(at, rss, color=_OTHER, linewidth=0.8, linestyle=":", label="RSS, all")
            axes.set_ylim(bottom=0)
            if row == len(names) - 1:
                axes.set_xlabel("s")
    _same_height(grid)
    _save(figure, path, {label: handle for axes in _flat(grid) for handle, label in _labels(axes)})


def _distributions(path: Path, loads: _ByLoad, figure_name: str) -> None:
    several = {load: of for load, of in loads.items() if load.viewers > 1 or "age" in figure_name}
    if not several:
        several = loads
    figure, grid = _grid(1, len(several), 2.9, 2.8)
    for axes, (load, of) in zip(grid[0], several.items(), strict=True):
        for name, repeats in of.items():
            for run in repeats:
                values = run[figure_name]
                shares = [(at + 1) / len(values) for at in range(len(values))]
                axes.plot(values, shares, color=COLOURS[name], label=name, linewidth=1.2)
        axes.set(xscale="log", xlabel="ms", title=_clients(load))
        _plain(axes.xaxis)
        axes.grid(visible=True, alpha=0.25)
    grid[0][0].set_ylabel("share of frames")
    _save(figure, path, {label: handle for axes in grid[0] for handle, label in _labels(axes)})


def _against_clients(path: Path, loads: _ByLoad, cores: int) -> None:
    figure, grid = _grid(1, 4, 3.2, 2.9)
    panels = (
        ("cores_total", "CPU of all processes, cores"),
        ("pss_total_mib", "PSS of all processes, MiB"),
        ("skew_p50_ms", "skew p50, ms"),
        ("age_p99_worst_client_ms", "latency p99 of the worst client, ms"),
    )
    for axes, (name, title) in zip(grid[0], panels, strict=True):
        _panel(axes, loads, name)
        axes.set(xlabel="clients", title=title, xticks=[load.viewers for load in loads], xlim=(0, None))
        axes.grid(visible=True, alpha=0.25)
        if name == "cores_total":
            axes.axhline(cores, color=_OTHER, linestyle="--", linewidth=0.8)
            axes.text(0.02, cores, f" all {cores} cores", color=_OTHER, fontsize=7, va="bottom")
            _limits(axes, loads)
        elif name != "pss_total_mib":
            axes.set_yscale("log")
            _plain(axes.yaxis)
    _save(figure, path, {label: handle for axes in grid[0] for handle, label in _labels(axes)})


def _panel(axes: Any, loads: _ByLoad, figure_name: str) -> None:
    names = dict.fromkeys(name for of in loads.values() for name in of)
    for name in names:
        points = [
            (load.viewers, tables.median(of[name], figure_name), *tables.spread(of[name], figure_name))
            for load, of in loads.items()
            if name in of
        ]
        at = [point[0] for point in points]
        middle = [point[1] for point in points]
        errors = [[p[1] - p[2] for p in points], [p[3] - p[1] for p in points]]
        axes.errorbar(
            at, middle, yerr=errors, color=COLOURS[name], label=name, marker="o", markersize=3,
            capsize=2, linewidth=1.2,
        )  # fmt: skip


def _limits(axes: Any, loads: _ByLoad) -> None:
    """What was to be reached: the broker at most 1.05 times the threads, the hub half of them."""
    points = [
        (load.viewers, tables.median(of["threads"], "cores_total"))
        for load, of in loads.items()
        if "threads" in of and load.viewers >= 10
    ]
    for ratio, name in ((tables.BROKER_RATIO, "broker"), (tables.HUB_RATIO, "hub")):
        axes.plot(
            [at for at, _ in points], [cores * ratio for _, cores in points],
            color=COLOURS[name], linestyle=":", linewidth=1, marker="_",
            label=f"limit for {name}: {ratio:g} × threads",
        )  # fmt: skip


def _plain(axis: Any) -> None:
    """Numbers at 1, 2 and 5 of a logarithmic axis, as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _at: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _clients(load: Load) -> str:
    return f"{load.viewers} clients" if load.viewers > 1 else "1 client"


def _grid(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    from matplotlib import pyplot

    size = (max(5.0, width * columns), height * rows + 0.5)
    return pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")


def _flat(grid: Any) -> list[Any]:
    return [axes for row in grid for axes in row]


def _same_height(grid: Any) -> None:
    """Columns have a scale of their own: 1 client beside 40 would be a line at the bottom."""
    for column in zip(*grid, strict=True):
        top = max(axes.get_ylim()[1] for axes in column)
        for axes in column:
            axes.set_ylim(0, top)


def _labels(axes: Any) -> list[tuple[Any, str]]:
    return list(zip(*axes.get_legend_handles_labels(), strict=True))


def _save(figure: Any, path: Path, legend: Mapping[str, Any]) -> None:
    from matplotlib import pyplot

    labels: Sequence[str] = list(legend)
    place: Callable[..., object] = figure.legend
    place(
        list(legend.values()),
        labels,
        loc="outside lower center",
        ncols=max(1, len(labels)),
        frameon=False,
    )
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
