"""Samples the processes of a run ten times a second, by role."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

from scripts.measure import counters

HZ: Final = 10
# Reading PSS takes a millisecond and holds the process up: so many processes are read at each sample, in
# turn. The others keep what they had. (RSS and CPU are read of all.)
_PSS_AT_ONCE: Final = 2


@dataclass(slots=True)
class Sample:
    """One moment.

    Attributes:
        at_s: since the beginning of the window.
        cores: CPU seconds per second since the sample before, by role.
        pss_mib: by role.
        rss_mib: by role.
    """

    at_s: float
    cores: dict[str, float]
    pss_mib: dict[str, float]
    rss_mib: dict[str, float]


@dataclass(slots=True)
class Taken:
    """What one window gave.

    Attributes:
        cores: over the whole window, by role.
        switches: voluntary and involuntary context switches per second, by role.
        loopback_mib_s: over the loopback interface.
        begin_ns: when the window began (Unix time).
        end_ns: when it ended.
    """

    samples: list[Sample] = field(default_factory=list)
    cores: dict[str, float] = field(default_factory=dict)
    switches: dict[str, tuple[float, float]] = field(default_factory=dict)
    loopback_mib_s: float = 0.0
    begin_ns: int = 0
    end_ns: int = 0


class Sampler:
    """Watches processes by role while `run` waits.

    Args:
        roles: process ids by role; asked once, at the beginning.
        check: called now and then; raises if the run has failed.
    """

    def __init__(self, roles: Mapping[str, Sequence[int]], check: Callable[[], None]) -> None:
        self._roles = {role: tuple(pids) for role, pids in roles.items() if pids}
        self._check = check
        pids = [pid for pids in self._roles.values() for pid in pids]
        self._cpu_s = dict.fromkeys(pids, 0.0)
        self._pss = {pid: counters.pss_mib(pid) for pid in pids}
        self._turn = cycle(pids)

    def run(self, span_s: float) -> Taken:
        """Sample for so long."""
        taken = Taken(begin_ns=time.time_ns())
        self._look()
        first = {role: self._sum(self._cpu_s, role) for role in self._roles}
        switched = {role: counters.context_switches(pids) for role, pids in self._roles.items()}
        loopback, began_s = counters.loopback_bytes(), time.monotonic()
        before_s, before = began_s, dict(first)
        for number in range(1, int(span_s * HZ) + 1):
            time.sleep(max(0.0, began_s + number / HZ - time.monotonic()))
            now_s = time.monotonic()
            self._look()
            now = {role: self._sum(self._cpu_s, role) for role in self._roles}
            taken.samples.append(self._sample(now_s - began_s, now_s - before_s, before, now))
            before_s, before = now_s, now
            if number % HZ == 0:
                self._check()
        took_s = before_s - began_s
        taken.end_ns = time.time_ns()
        taken.loopback_mib_s = (counters.loopback_bytes() - loopback) / counters.MIB / took_s
        taken.cores = {role: (before[role] - first[role]) / took_s for role in self._roles}
        for role, pids in self._roles.items():
            ours, theirs = counters.context_switches(pids)
            taken.switches[role] = (
                (ours - switched[role][0]) / took_s,
                (theirs - switched[role][1]) / took_s,
            )
        return taken

    def _look(self) -> None:
        for pid in self._cpu_s:
            # A process that is gone keeps what it had: what it used was used.
            self._cpu_s[pid] = counters.cpu_clock_s(pid) or self._cpu_s[pid]
        for _ in range(min(_PSS_AT_ONCE, len(self._pss))):
            pid = next(self._turn)
            self._pss[pid] = counters.pss_mib(pid)

    def _sample(
        self, at_s: float, since_s: float, before: dict[str, float], now: dict[str, float]
    ) -> Sample:
        return Sample(
            at_s,
            {role: (now[role] - before[role]) / since_s for role in self._roles},
            {role: self._sum(self._pss, role) for role in self._roles},
            {role: sum(map(counters.rss_mib, pids)) for role, pids in self._roles.items()},
        )

    def _sum(self, values: Mapping[int, float], role: str) -> float:
        return sum(values[pid] for pid in self._roles[role])


def write(path: Path, samples: Sequence[Sample]) -> None:
    """As CSV: one line per sample and role."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["at_s", "role", "cores", "pss_mib", "rss_mib"])
        for sample in samples:
            for role in sample.cores:
                writer.writerow(
                    [
                        f"{sample.at_s:.3f}",
                        role,
                        f"{sample.cores[role]:.4f}",
                        f"{sample.pss_mib[role]:.2f}",
                        f"{sample.rss_mib[role]:.2f}",
                    ]
                )
