"""What the tests of shared pictures are made of: headers, names, pixels, and processes to kill."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from common.pixels import Form, PixelFormat, Pixels, shape
from common.sharing.layout import SegmentHeader, segment_name

ROOT = Path(__file__).parents[4]
STREAM = "cam"
EPOCH = 0x5EED
GRACE_NS = 1000

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


def new_name(stream: str = STREAM, form: Form | None = None, epoch: int = EPOCH) -> str:
    """Another one at every call, and in every process."""
    return segment_name(stream, form or Form(), epoch, f"{next(_numbers) % 2**32:08x}")


def noise(header: SegmentHeader, seed: int = 0) -> Pixels:
    form_shape = shape(header.format, header.width, header.height)
    return np.random.default_rng(seed).integers(0, 256, form_shape, np.uint8)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# Creates a segment and says so; lives until its input ends.
WRITER = """
import sys
from pathlib import Path
from tests.unit.common.sharing.build import described, noise
from common.sharing.writer import Segment
header = described()
segment = Segment(sys.argv[2], header, Path(sys.argv[1]))
segment.write(noise(header), 0)
print("ready", flush=True)
sys.stdin.read()
"""

# Leads, or does not, and says so; lives until its input ends.
LEADER = """
import sys
from pathlib import Path
from common.pixels import FULL_BGR
from common.sharing.hosts import Leadership
print(Leadership("cam", FULL_BGR, Path(sys.argv[1])).acquire(), flush=True) or sys.stdin.read()
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
