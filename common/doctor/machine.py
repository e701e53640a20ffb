"""Checks of this machine: versions, codecs, shared memory."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import metadata
from typing import Final

from common.doctor.finding import Check, Finding, note, ok, problem
from common.errors import FanlightError
from common.frame import ENCODINGS, Codec, EncodedFrame, FrameHeader
from common.sharing import hosts

_LIMIT_S: Final = 10.0
_PACKAGES: Final = ("av", "numpy", "opencv-python", "pika", "simplejpeg", "prometheus-client")
_OLDEST: Final = (3, 11)
_NEXT: Final = (3, 15)
_REINSTALL: Final = "install Fanlight again: pip install --constraint constraints.txt ."
_SIZE: Final = (640, 360)
# A lossy codec's picture of a gradient is on average no further off.
_MOST_ERROR: Final = 8.0
# A second of a full HD stream and its grace time.
_ENOUGH_BYTES: Final = 200 * 1024 * 1024


def machine_checks() -> list[Check]:
    """Those that both commands have."""
    return [
        Check("python", _LIMIT_S, _versions),
        *(Check(f"codec {codec}", _LIMIT_S, partial(_codec, codec)) for codec in ENCODINGS),
        Check("shared memory", _LIMIT_S, _shared_memory),
    ]


def _versions() -> Iterator[Finding]:
    version = platform.python_version()
    if _OLDEST <= sys.version_info[:2] < _NEXT:
        yield ok("python", f"{version} on {platform.system()} {platform.machine()}")
    else:
        yield note("python", f"{version}: Fanlight is tested with 3.11 to 3.14", "use one of those")
    found, missing = [], []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    yield ok("packages", ", ".join(found))
    if missing:
        yield problem("packages", f"not installed: {', '.join(missing)}", _REINSTALL)


def _codec(codec: Codec) -> Iterator[Finding]:
    """Encode a picture and look whether it comes back."""
    check = f"codec {codec}"
    try:
        import numpy as np

        from common.clock import monotonic_ns, wall_ns
        from common.codec import decoder, encoder

        width, height = _SIZE
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
        began_ns = monotonic_ns()
        encoded = encoder(codec, fps=30.0, gop_s=1.0).encode(picture, key=True)
        coded_ns = monotonic_ns()
        header = FrameHeader(
            stream="doctor", codec=codec, epoch=1, seq=0, capture_ns=wall_ns(), width=width,
            height=height, key=True, fps=30.0,
        )  # fmt: skip
        pixels = decoder(codec).decode(EncodedFrame(header, encoded.body)).pixels()
        decoded_ns = monotonic_ns()
    except (ImportError, FanlightError) as error:
        yield problem(check, f"does not work: {error}", _REINSTALL)
        return
    off_by = float(np.abs(pixels.astype(np.int16) - picture).mean())
    if pixels.shape != picture.shape or off_by > _MOST_ERROR:
        yield problem(check, f"another picture came back (off by {off_by:.0f} of 255)", _REINSTALL)
        return
    yield ok(
        check,
        f"{width}x{height}: {len(encoded.body) / 1000:.0f} kB, first picture encoded in "
        f"{(coded_ns - began_ns) / 1e6:.0f} ms, decoded in {(decoded_ns - coded_ns) / 1e6:.0f} ms",
    )


def _shared_memory() -> Iterable[Finding]:
    """A hub needs it; everybody else does without."""
    check = "shared memory"
    if hosts.host_id() is None:
        return [note(check, f"there is no {hosts.FOLDER}", "a hub cannot share here: use --via broker")]
    free = os.statvfs(hosts.FOLDER)
    free_bytes = free.f_bavail * free.f_frsize
    said = f"{hosts.FOLDER}: {free_bytes / 2**20:.0f} MiB free"
    if not os.access(hosts.FOLDER, os.W_OK):
        return [note(check, f"{hosts.FOLDER} cannot be written to", "a hub cannot share here")]
    if free_bytes < _ENOUGH_BYTES:
        advice = "a hub may not have room: docker run --shm-size=1g, or mount -o remount,size=1g /dev/shm"
        return [note(check, said, advice)]
    return [ok(check, said)]
