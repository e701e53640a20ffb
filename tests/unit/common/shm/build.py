"""What the tests of shared pictures are made of: headers, names, pixels, and processes to kill."""

from __future__ import annotations

import itertools
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import FULL_BGR, PixelFormat, Pixels, shape
from fanlight.common.shm import memory
from fanlight.common.shm.layout import CODECS, FILE, SegmentHeader, Slot
from fanlight.common.shm.names import RingName

ROOT = Path(__file__).parents[4]
STREAM = "cam"
EPOCH = 0x5EED
GRACE_NS = 1000
RING = RingName(STREAM, FULL_BGR, "0123abcd")

_numbers = itertools.count(os.getpid() << 12)


def described(
    pixel_format: PixelFormat = PixelFormat.BGR,
    *,
    width: int = 16,
    height: int = 8,
    slots: int = 3,
    epoch: int = EPOCH,
    grace_ns: int = GRACE_NS,
) -> SegmentHeader:
    return SegmentHeader(
        format=pixel_format, width=width, height=height, slots=slots, epoch=epoch, grace_ns=grace_ns
    )


def new_name(ring: RingName = RING) -> str:
    """Another one at every call, and in every process."""
    return ring.segment(f"{next(_numbers) % 2**32:08x}")


def noted(seq: int = 1) -> Slot:
    """What belongs to a picture, other for every seq."""
    return Slot(
        0, seq, 1_000_000 + seq, 2000 + seq, 3_000_000 + seq, 29.97, CODECS.index(Codec.H264), seq % 2
    )


def noise(header: SegmentHeader, seed: int = 0) -> Pixels:
    form_shape = shape(header.format, header.width, header.height)
    return np.random.default_rng(seed).integers(0, 256, form_shape, np.uint8)


def names(folder: Path) -> set[str]:
    """Of what is in it; nothing if it is not there."""
    return set(os.listdir(folder)) if folder.exists() else set()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def number_in(path: Path) -> int:
    """Of the memory that a segment's file names."""
    return int(FILE.unpack(path.read_bytes())[1])


def memory_of(path: Path) -> memoryview:
    """The memory of a segment, attached once more."""
    return memory.attach(number_in(path))


def memories() -> int:
    """How many System V segments this process has created and somebody uses."""
    rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return sum(int(row.split()[4]) == os.getpid() for row in rows)


def in_futex(waiter: threading.Thread | int) -> bool:
    """Whether a thread, or a process, is in FUTEX_WAIT on shared memory: Python's own locks are not."""
    number = waiter if isinstance(waiter, int) else waiter.native_id
    if number is None:
        return False
    call = Path(f"/proc/{number}/syscall").read_text().split()
    return len(call) > 2 and int(call[1], 16) > mmap.PAGESIZE and call[2] == "0x0"


# Creates a segment and says so; lives until its input ends.
WRITER = """
import sys
from pathlib import Path
from tests.unit.common.shm.build import described, noise, noted
from fanlight.common.shm.writer import Segment
header = described()
segment = Segment(sys.argv[2], header, Path(sys.argv[1]))
segment.write(noise(header), noted(), 0)
print("ready", flush=True)
sys.stdin.read()
"""

# Leads, or does not, and says so; lives until its input ends.
LEADER = """
import sys
from pathlib import Path
from tests.unit.common.shm.build import RING
from fanlight.common.shm.locks import Leadership
print(Leadership(RING, Path(sys.argv[1])).acquire(), flush=True) or sys.stdin.read()
"""


@contextmanager
def child(script: str, *arguments: object, says: str) -> Iterator[subprocess.Popen[str]]:
    """Another Python process that has said its line; it is gone at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().strip() == says
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> None:
    """kill -9, and wait until it is gone."""
    process.kill()
    process.wait(30)
