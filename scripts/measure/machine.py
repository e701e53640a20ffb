"""What was measured on, and with which versions: printed beside every figure."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("av", "numpy", "opencv-python", "pika", "simplejpeg", "imagezmq", "pyzmq")


def describe(node_ctl: str | None = None, erlang: str | None = None) -> dict[str, object]:
    """Machine and versions; `node_ctl` is what `rabbitmqctl version` printed, if there is a broker."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_before": os.getloadavg(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "rabbitmq": node_ctl,
        "erlang": erlang,
        "gstreamer": gstreamer(),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def gstreamer() -> str | None:
    """The version of GStreamer, None where it is not installed."""
    try:
        run = subprocess.run(["gst-launch-1.0", "--version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return (run.stdout.splitlines() or [""])[0].removeprefix("gst-launch-1.0 version ")
