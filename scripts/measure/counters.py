"""What the kernel counts for processes: CPU, memory, context switches; and loopback traffic."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
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


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of all threads of these processes, in seconds."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue  # the broker's helpers come and go; that a consumer ended `Fleet.check` finds
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def memory_kib(pid: int) -> tuple[int, int]:
    """PSS, and anonymous memory: PSS also falls when other processes map the same libraries."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return sizes["Pss"], sizes["Anonymous"]


def rss_mib(pid: int) -> float:
    """Resident memory; 0 if the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / MIB
    except (OSError, IndexError):
        return 0.0


def pss_mib(pid: int) -> float:
    """Resident memory, what is shared counted in parts; 0 if the process is gone. Takes a millisecond."""
    try:
        return memory_kib(pid)[0] / 1024
    except (OSError, KeyError):
        return 0.0


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
