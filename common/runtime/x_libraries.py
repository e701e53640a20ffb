"""Makes PyAV and windows of OpenCV work in one process.

Both wheels contain libxcb-shm, -shape and -xfixes under the same names, and a process uses the copies that
it loads first. PyAV's copies are linked to their own libxcb: if OpenCV's Qt calls them with a connection of
the system's libxcb, they wait for ever (`xcb_shm_query_version`, in the first `namedWindow`).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def unify_x_libraries() -> None:
    """Load OpenCV's copies into the global scope, so that windows and screen capture use one libxcb.

    Symbols in the global scope precede those of PyAV's copies, whether av and cv2 are imported before or
    after. Does nothing unless both wheels contain libraries of the same name.
    """
    if sys.platform != "linux":
        return
    of_av = {path.name for path in _bundled("av", "av.libs/libxcb-*")}
    for path in _bundled("cv2", "opencv*.libs/libxcb-*"):
        if path.name in of_av:
            with contextlib.suppress(OSError):  # without the system's libxcb there are no windows either
                ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)


def _bundled(package: str, pattern: str) -> list[Path]:
    spec = PathFinder.find_spec(package)  # imports nothing
    return [] if spec is None or spec.origin is None else [*Path(spec.origin).parents[1].glob(pattern)]
