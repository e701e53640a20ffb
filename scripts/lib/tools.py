"""Programs that the tests use and pip does not bring: installed where that is possible, else named."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from fanlight.common.runtime.opencv import DEBIAN_PACKAGES
from scripts.lib import apt, netns
from scripts.lib.bootstrap import PYTHON
from scripts.lib.instance import CHECKOUT
from scripts.lib.quietly import run_quietly
from scripts.private_node import scripts_folder

NODE_FOLDER = CHECKOUT / "tests" / "integration" / "node"
# Program, and the Debian packages that have it and what it needs here.
_PROGRAMS = {
    "ffmpeg": "ffmpeg",
    "djpeg": "libjpeg-turbo-progs",
    "Xvfb": "xvfb",
    "xdotool": "xdotool",
    "import": "imagemagick",
    "node": "nodejs",
    "npm": "npm",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "firefox-esr": "firefox-esr",
    "mpv": "mpv",
    "cvlc": "vlc-bin vlc-plugin-base",
    "gst-launch-1.0": "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    " gstreamer1.0-plugins-bad gstreamer1.0-libav",
    "curl": "curl",
    **netns.PROGRAMS,
}


def ensure_tools(show: Callable[[str], None]) -> None:
    """Install what is missing; one line for each that cannot be. Tests that need it skip, and say why."""
    missing = sorted(set(_missing_packages()))
    if missing and apt.can_install():
        show(f"installing {' '.join(missing)} with apt-get (no system service is started)")
        try:
            apt.install(missing, show)
        except apt.InstallFailed as error:
            show(str(error))
        missing = sorted(set(_missing_packages()))
    for package in missing:
        show(f"please install {package} (Debian's name): tests that need it cannot run")
    _ensure_node_client(show)


def _missing_packages() -> Iterator[str]:
    if scripts_folder() is None:
        yield "rabbitmq-server"
    for program, packages in _PROGRAMS.items():
        if shutil.which(program) is None:
            yield from packages.split()
    if subprocess.run([PYTHON, "-c", "import cv2"], check=False, capture_output=True).returncode != 0:
        yield from DEBIAN_PACKAGES


def _ensure_node_client(show: Callable[[str], None]) -> None:
    npm = shutil.which("npm")
    wanted = json.loads((NODE_FOLDER / "package.json").read_text())["dependencies"]
    if all(_installed_version(name) == version for name, version in wanted.items()):
        return
    if npm is None:
        return  # shown already
    show(f"installing {', '.join(wanted)} with npm")
    # No lock file: it would record the address of whatever registry this machine uses.
    options = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    lines = run_quietly([npm, "install", *options], {"CI": "1"}, NODE_FOLDER)
    if lines is not None:
        show(f"npm install failed: {lines[0]}")


def _installed_version(name: str) -> str | None:
    manifest: Path = NODE_FOLDER / "node_modules" / name / "package.json"
    try:
        version = json.loads(manifest.read_text())["version"]
    except (OSError, ValueError, KeyError):
        return None
    return str(version)
