"""A producer or consumer whose wall clock can be stepped while it runs.

`python -m scripts.lib.stepped_clock OFFSETFILE producer|consumer FLAGS...`

OFFSETFILE holds what is added to the wall clock; `step(file, seconds)` writes it, from any process, and
who reads the clock next sees it. Every module reads it by way of `common.clock`, so it is replaced
there before any of them is imported. (A time namespace cannot shift the wall clock, and libfaketime also
shifts timeouts.)
"""

from __future__ import annotations

import importlib
import mmap
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fanlight.common import clock

_OFFSET_NS: Final = struct.Struct("<q")


def step(file: Path, offset_s: float) -> None:
    """Set the clocks that go by `file` to be `offset_s` ahead of this machine's; it is made if missing."""
    data = _OFFSET_NS.pack(round(offset_s * 1e9))
    if not file.exists():
        file.write_bytes(data)
        return
    with file.open("r+b") as opened:  # in place: whoever has it mapped sees it
        opened.write(data)


def stepped(file: Path) -> Callable[[], int]:
    """The wall clock in nanoseconds, as `file` steps it."""
    if not file.exists():
        step(file, 0.0)
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), _OFFSET_NS.size, prot=mmap.PROT_READ)
    return lambda: time.time_ns() + _OFFSET_NS.unpack_from(mapped)[0]


def command(file: Path, role: str) -> list[str]:
    """What to start in place of `python -m producer` or `python -m consumer`; flags follow."""
    return [sys.executable, "-m", "scripts.lib.stepped_clock", str(file), role]


def main(arguments: list[str]) -> int:
    """Run a command line of the producer or the consumer; its exit code."""
    if len(arguments) < 2 or arguments[1] not in ("producer", "consumer"):
        sys.stderr.write(
            "usage: python -m scripts.lib.stepped_clock OFFSETFILE producer|consumer FLAGS...\n"
        )
        return 2
    clock.wall_ns = stepped(Path(arguments[0]))
    code: int = importlib.import_module(f"fanlight.{arguments[1]}.cli").main(arguments[2:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
