"""Words for an OpenCV that is missing, has no windows, or lacks libraries of the system.

OpenCV is optional, and comes in four packages (docs/dependencies.md): what is there shows when it is used.
"""

from __future__ import annotations

import re
from typing import Final

from fanlight.common.model.reasons import reason

PACKAGES: Final = (
    "opencv-python",
    "opencv-contrib-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)
INSTALL: Final = "pip install 'fanlight[window]', or another opencv package"
# What opencv-python's wheel expects of a desktop system. Debian's slim images have none of it.
DEBIAN_PACKAGES: Final = ("libxcb1", "libgl1", "libglib2.0-0", "libsm6")
_LIBRARY: Final = re.compile(r"(\S+): cannot open shared object file")


def opencv_problem(error: Exception) -> str:
    """Why OpenCV cannot be used and what to do, by what its import or a call has raised."""
    if isinstance(error, ModuleNotFoundError) and error.name == "cv2":
        return f"OpenCV is not installed: {INSTALL}"
    text = reason(error)
    missing = _LIBRARY.search(text)
    if missing:
        packages = " ".join(DEBIAN_PACKAGES)
        return f"{missing[1]} is missing: apt-get install {packages} (names of Debian and Ubuntu)"
    if "not implemented" in text:
        return (
            "this OpenCV is built without windows: pip uninstall opencv-python-headless "
            "opencv-contrib-python-headless, then pip install opencv-python"
        )
    return f"OpenCV fails ({' '.join(text.split())})"
