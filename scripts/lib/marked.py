"""Processes that carry a mark in their environment, and are found by it again.

A mark is inherited by every child and cannot be recycled as a process number can, so a later
`scripts/broker down` ends exactly the processes that `up` started. Linux only (it reads /proc).
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "FANLIGHT_NODE"


def find(mark: str) -> dict[int, str]:
    """Process number and name of every running process that carries the mark."""
    wanted = f"{VARIABLE}={mark}".encode()
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        # Gone meanwhile, or another user's.
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "comm").read_text().strip()
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each; one that has ended is passed over."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_gone(pids: list[int], timeout_s: float) -> bool:
    """Wait until all have ended; False if some are still there when the time is over."""
    deadline = time.monotonic() + timeout_s
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return False
        finally:
            os.close(descriptor)
    return True


def kill_all(mark: str, *, keep: str = "", timeout_s: float = 10.0) -> None:
    """SIGKILL every process with the mark, again until none is left; `keep` names one to spare."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        pids = [pid for pid, name in find(mark).items() if name != keep]
        if not pids:
            return
        send(pids, signal.SIGKILL)
        wait_gone(pids, deadline - time.monotonic())
    raise TimeoutError(f"processes marked {mark} survived SIGKILL for {timeout_s:g} s")
