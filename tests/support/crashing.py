"""Lets a command crash in native code when a test says so."""

from __future__ import annotations

import os
from pathlib import Path

_SITE = """\
import ctypes, sys, threading

def crash():
    with open({fifo!r}) as told:
        told.read(1)
    ctypes.string_at(0)

if not any(part.endswith("supervisor.py") for part in sys.orig_argv):
    threading.Thread(target=crash, daemon=True).start()
"""


class Crasher:
    """Commands that are started with `environment` read from address 0 once `crash` is called."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "crash"
        os.mkfifo(self._fifo)
        (folder / "sitecustomize.py").write_text(_SITE.format(fifo=str(self._fifo)))
        self.environment = {"PYTHONPATH": str(folder)}

    def crash(self) -> None:
        """Waits until the command is there to hear it."""
        with self._fifo.open("w") as tell:
            tell.write("x")


def child_of(process: int) -> int:
    """The only child of a process; 0 if it has none."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


def alive(process: int) -> bool:
    """False once it has ended, also if nobody has asked how."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def pss_kib(process: int) -> int:
    """Its share of memory."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
