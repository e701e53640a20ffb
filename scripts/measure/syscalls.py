"""Counts system calls with `strace -c`, in a run of its own: it slows processes down several times."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$")


def count(roles: Mapping[str, Sequence[int]], span_s: float, folder: Path) -> dict[str, dict[str, float]]:
    """System calls per second, by role and name, of all threads.

    Args:
        roles: process ids by role.
        folder: where strace leaves its tables.
    """
    tracers: dict[str, subprocess.Popen[bytes]] = {}
    for role, pids in roles.items():
        if pids:
            table = folder / f"strace-{role}.txt"
            attached = [part for pid in pids for part in ("-p", str(pid))]
            tracers[role] = subprocess.Popen(
                ["strace", "-c", "-f", "-o", str(table), *attached],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
    began_s = time.monotonic()
    time.sleep(span_s)
    took_s = time.monotonic() - began_s
    for tracer in tracers.values():
        tracer.send_signal(signal.SIGINT)
    for tracer in tracers.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(10)
        tracer.kill()
        tracer.wait()
    return {role: read((folder / f"strace-{role}.txt").read_text(), took_s) for role in tracers}


def read(table: str, span_s: float) -> dict[str, float]:
    """Calls per second by name, from the table that strace prints; most first."""
    found = [match for line in table.splitlines() if (match := _LINE.match(line))]
    counts = {name: int(calls) / span_s for calls, name in (m.groups() for m in found) if name != "total"}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
