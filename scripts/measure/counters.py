"""What the kernel counts for processes: CPU, memory, context switches; and loopback traffic."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

_PAGE_BYTES = 4096
MIB = 1024 * 1024


def cpu_clock_s(pid: int) -> float | None:
    """CPU time of all threads of a process, living and dead, in ns steps; None if it is gone.

    What /proc/PID/stat shows in ticks of 10 ms, which is too coarse for ten samples a second
    (clock_getcpuclockid(3)).
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def rss_mib(pid: int) -> float:
    """Resident memory; 0 if the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / MIB
    except (OSError, IndexError):
        return 0.0


def pss_mib(pid: int) -> float:
    """Resident memory, what is shared counted in parts; 0 if the process is gone. Takes a millisecond."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def context_switches(pids: Iterable[int]) -> tuple[int, int]:
    """Voluntary and involuntary ones of all living threads."""
    voluntary = involuntary = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                text = task.read_text()
            except OSError:
                continue  # this thread has just ended
            for line in text.splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    voluntary += int(line.split()[1])
                elif line.startswith("nonvoluntary_ctxt_switches"):
                    involuntary += int(line.split()[1])
    return voluntary, involuntary


def loopback_bytes() -> int:
    """Sent over the loopback interface since boot, of the whole machine."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == "lo":
            return int(rest.split()[8])
    return 0


def descendants(pid: int) -> list[int]:
    """A process and all that it started, as they are now."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:
                continue
    return found
