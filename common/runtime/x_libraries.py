"""PyAV and windows of OpenCV in one process.

The wheels of both bring libxcb-shm, -shape and -xfixes under the same names, and a process keeps those that
it loads first. PyAV's belong to a libxcb of their own: called by OpenCV's Qt with a connection of the
system's libxcb, they wait for ever for an answer (`xcb_shm_query_version`, in the first `namedWindow`).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def unify_x_libraries() -> None:
    """Have whatever opens a window or reads the screen after this use OpenCV's copies and one libxcb.

    In the global scope they are found before those that PyAV has loaded or is going to: it does not matter
    when av and cv2 are imported. Does nothing where there are no two wheels with libraries of one name.
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
