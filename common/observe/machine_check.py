"""Checks of this machine, and a helper that runs a check that may hang or abort in a child process."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.finding import Check, Finding, note, ok, problem
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.reasons import reason
from fanlight.common.model.redact import without_secrets
from fanlight.common.runtime.opencv import INSTALL, PACKAGES
from fanlight.common.shm import memory
from fanlight.common.shm.private_folder import SHARED_MEMORY, can_share

_ROOT: Final = Path(__file__).parents[3]
_PACKAGES: Final = ("av", "numpy", "pika", "simplejpeg", "prometheus-client")
_REINSTALL: Final = "install Fanlight again: pip install --constraint constraints.txt ."
# The pictures of a full HD stream within the default --max-age.
_SHM_BYTES: Final = 200 * 1024 * 1024
# Libraries, sockets and files of one command, several times over.
_DESCRIPTORS: Final = 256
# What Python prints before the sentence of an error of ours.
_OWN_ERROR: Final = re.compile(r"^fanlight\.[\w.]+: ")


def machine_checks() -> dict[str, Check]:
    """The checks that both commands run."""
    return {
        "packages": _packages,
        "opencv": lambda: opencv(opencv_packages()),
        "codecs": _codecs,
        "shared memory": _shared_memory,
        "descriptors": _descriptors,
    }


def in_child(module: str, given: dict[str, Any], limit_s: float) -> str:
    """Run `python -m module` and return what it prints.

    Args:
        given: passed on stdin, as JSON: a URL in it may hold a password, and arguments are public.

    Raises:
        FanlightError: it failed or crashed, or was not done in time.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            check=False, cwd=_ROOT, input=json.dumps(given), capture_output=True, text=True,
            errors="replace", timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FanlightError(f"it hangs: no answer within {limit_s:g} s") from None
    if done.returncode == 0:
        return done.stdout.strip()
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    last = without_secrets(_OWN_ERROR.sub("", last))
    raise FanlightError(f"it crashed (signal {-done.returncode}): {last}" if done.returncode < 0 else last)


def _packages() -> Finding:
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    try:
        return ok(", ".join([python, *(f"{name} {metadata.version(name)}" for name in _PACKAGES)]))
    except metadata.PackageNotFoundError as error:
        return problem(f"not installed: {error.name}", _REINSTALL)


def opencv_packages() -> list[str]:
    """The installed packages that contain OpenCV, with their versions."""
    found = []
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return found


def opencv(packages: Sequence[str]) -> Finding:
    """Only cameras and windows need it."""
    if len(packages) > 1:
        return note(
            f"{' and '.join(packages)} overwrite one another's files",
            "pip uninstall all of them, then install the one you want",
        )
    if packages:
        return ok(packages[0])
    if find_spec("cv2") is not None:
        return ok("cv2, not from pip")
    return note("not installed: no cameras and no windows", INSTALL)


def _codecs() -> Finding:
    """Encodes and decodes a picture with each."""
    try:
        import numpy as np

        from fanlight.common.codec import decoder, encoder

        picture = np.full((360, 640, 3), 128, np.uint8)
        for codec in Codec:
            body = encoder(codec, fps=30.0, gop_s=1.0).encode(picture, key=True).body
            header = FrameHeader(
                stream="doctor", codec=codec, epoch=1, seq=0, capture_ns=1, width=640, height=360,
                key=True, fps=30.0,
            )  # fmt: skip
            decoder(codec).decode(EncodedFrame(header, body)).pixels()
    except (ImportError, FanlightError) as error:
        return problem(str(error), _REINSTALL)
    return ok(f"{', '.join(Codec)} work")


def _shared_memory() -> Finding:
    """Only a hub needs it."""
    if not can_share() or not os.access(SHARED_MEMORY, os.W_OK):
        return note(f"{SHARED_MEMORY} cannot be written to", "a hub cannot share here: use --via broker")
    try:
        memory.create(_SHM_BYTES)
    except OSError as error:
        return note(
            f"no {_SHM_BYTES // 2**20} MiB: {reason(error)}",
            "for a hub of large pictures: see sysctl kernel.shmmax, shmall, shmmni",
        )
    return ok(f"{_SHM_BYTES // 2**20} MiB can be shared")


def _descriptors() -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{limit} files and sockets at a time"
    if 0 <= limit < _DESCRIPTORS:
        return note(text, "ulimit -n 1024; a producer without a broker needs two for each client")
    return ok(text)
