"""What the rig can change inside a running process: numbers in a small file that both have mapped.

The first one is the step of the wall clock, as `scripts.lib.stepped_clock` reads it.
"""

from __future__ import annotations

import mmap
from enum import IntEnum
from pathlib import Path
from typing import Final

_NUMBERS: Final = 2
_BYTES: Final = 8


class Mode(IntEnum):
    """How the marked source behaves."""

    STEADY = 0
    STALLED = 1
    """Gives nothing."""
    FLOODING = 2
    """Gives pictures as fast as they can be drawn."""
    SMALL = 3
    """Another size in mid-stream."""
    REFUSED = 4
    """Pictures that no encoder takes."""


class Levers:
    """Maps the file; made if it is not there."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_NUMBERS * _BYTES))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _NUMBERS * _BYTES)

    @property
    def clock_offset_ns(self) -> int:
        """Added to the wall clock."""
        return int.from_bytes(self._memory[:_BYTES], "little", signed=True)

    @clock_offset_ns.setter
    def clock_offset_ns(self, offset_ns: int) -> None:
        self._memory[:_BYTES] = offset_ns.to_bytes(_BYTES, "little", signed=True)

    @property
    def mode(self) -> Mode:
        return Mode(self._memory[_BYTES])

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._memory[_BYTES] = mode

    def close(self) -> None:
        self._memory.close()
