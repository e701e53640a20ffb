"""What a test can change inside a running process: numbers in a small file that both have mapped.

`python -m scripts.lib.fault_control FILE|NANOSECONDS producer|consumer FLAGS...` runs a command whose wall
clock is set off by what FILE says while it runs, or by a fixed time. Every module reads the wall clock by
way of `common.clock`, so it is replaced there before any of them is imported. (A time namespace cannot
shift the wall clock, and libfaketime also shifts timeouts.)
"""

from __future__ import annotations

import importlib
import mmap
import struct
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import Final

from fanlight.common import clock

# The offset of the wall clock in nanoseconds, and the mode of the source.
_NUMBERS: Final = struct.Struct("<qq")
_USAGE: Final = "usage: python -m scripts.lib.fault_control FILE|NANOSECONDS producer|consumer FLAGS...\n"


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


class FaultControl:
    """Maps the file, which is made if it is missing; any process that maps it may read and write."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_NUMBERS.pack(0, Mode.STEADY))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _NUMBERS.size)

    @property
    def clock_offset_ns(self) -> int:
        """Added to the wall clock."""
        return int(_NUMBERS.unpack_from(self._memory)[0])

    @clock_offset_ns.setter
    def clock_offset_ns(self, offset_ns: int) -> None:
        _NUMBERS.pack_into(self._memory, 0, offset_ns, self.mode)

    @property
    def mode(self) -> Mode:
        return Mode(_NUMBERS.unpack_from(self._memory)[1])

    @mode.setter
    def mode(self, mode: Mode) -> None:
        _NUMBERS.pack_into(self._memory, 0, self.clock_offset_ns, mode)

    def wall_ns(self) -> int:
        """The wall clock with its offset."""
        return time.time_ns() + self.clock_offset_ns

    def close(self) -> None:
        self._memory.close()


def main(arguments: list[str]) -> int:
    """Run a command line of the producer or the consumer; its exit code."""
    if len(arguments) < 2 or arguments[1] not in ("producer", "consumer"):
        sys.stderr.write(_USAGE)
        return 2
    offset, role, *flags = arguments
    if offset.removeprefix("-").isdigit():
        fixed_ns = int(offset)
        clock.wall_ns = lambda: time.time_ns() + fixed_ns
    else:
        clock.wall_ns = FaultControl(Path(offset)).wall_ns
    code: int = importlib.import_module(f"fanlight.{role}.cli").main(flags)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
