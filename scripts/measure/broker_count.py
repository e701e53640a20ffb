"""Checks two ways of counting a broker against each other: by its processes, by its cgroup."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from scripts.measure import counters
from scripts.measure.comparison import Cell
from scripts.measure.container import ContainerBroker
from scripts.measure.runs import Bench, Running

_CLIENTS: Final = 10
MOST_APART: Final = 0.05


def check(results: Path, clip: Path, size: str, span_s: float, show: Callable[[str], None]) -> bool:
    """One run against a broker in a container, counted both ways; whether they agree within 5 %."""
    show(f"the broker in a container, counted by its processes and by its cgroup: {_CLIENTS} clients")
    found: dict[str, Any] = {"clients": _CLIENTS, "seconds": span_s}
    with ContainerBroker() as container:

        def count(running: Running) -> None:
            pids = list(container.processes())
            by_cgroup, by_processes = container.usage()[0], _cpu_s(pids)
            running.fleet.check()
            time.sleep(span_s)
            # In the same order, so that the time between the two readings falls out.
            after, memory_mib = container.usage()
            found["cgroup_cores"] = (after - by_cgroup) / span_s
            found["processes_cores"] = (_cpu_s(pids) - by_processes) / span_s
            found["cgroup_mib"] = memory_mib
            found["processes_pss_mib"] = sum(map(counters.pss_mib, pids))

        bench = Bench(container, results / "container", span_s)
        bench.run(Cell(0, size, "h264", _CLIENTS, "broker").design, _CLIENTS, clip, during=count)
    found["apart"] = abs(found["processes_cores"] / found["cgroup_cores"] - 1)
    (results / "broker_count.json").write_text(json.dumps(found, indent=1) + "\n")
    agree = bool(found["apart"] <= MOST_APART)
    show(
        f"  cgroup {found['cgroup_cores']:.4f} cores, processes {found['processes_cores']:.4f} cores: "
        f"{found['apart']:.1%} apart{'' if agree else ', more than 5 %'}"
    )
    return agree


def _cpu_s(pids: list[int]) -> float:
    return sum(counters.cpu_clock_s(pid) or 0.0 for pid in pids)
