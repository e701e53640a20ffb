"""Other users of this machine: only root can be one of them."""

from __future__ import annotations

import functools
import os
import site
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

NOBODY: Final = 65534
_ROOT: Final = Path(__file__).parents[2]


def as_nobody() -> dict[str, Any]:
    """Arguments of `subprocess` for a process of the user nobody; skips the test if there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root may be somebody else")
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def environment_of_others() -> dict[str, str]:
    """Ours, with our packages for an interpreter of the system."""
    path = os.pathsep.join([str(_ROOT / "src"), str(_ROOT), *site.getsitepackages()])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}


@functools.cache
def python_of_others() -> str:
    """An interpreter of our version that every user can run: ours may be in the home of root."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        try:
            subprocess.run(
                [python, "-c", "import fanlight.consumer"],
                **as_nobody(), env=environment_of_others(), cwd="/", check=True, capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip(f"no Python {version} that every user can run")
