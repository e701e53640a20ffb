"""Makes the virtual environment that `scripts/demo` and `scripts/test` run in. Standard library only."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable

from fanlight.common.model.errors import FanlightError
from scripts.lib import apt
from scripts.lib.instance import CHECKOUT
from scripts.lib.locked import locked
from scripts.lib.quietly import run_quietly

VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
_STAMP = VENV / "fanlight-stamp"
_INPUTS = ("pyproject.toml", "constraints.txt")


class BootstrapFailed(FanlightError):
    """The virtual environment cannot be made."""


def ensure_venv(show: Callable[[str], None]) -> None:
    """Create `.venv` and install Fanlight into it, unless that was done with the same files before.

    Raises:
        BootstrapFailed: one line with the reason.
    """
    with locked(CHECKOUT):
        stamp = _stamp()
        if PYTHON.exists() and _STAMP.exists() and _STAMP.read_text() == stamp:
            return
        if not PYTHON.exists():
            show("making the virtual environment .venv")
            _make_venv()
        show("installing Fanlight and its tools into .venv (about a minute the first time)")
        install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*install, "--constraint", "constraints.txt", "--editable", ".[dev]"], "pip install")
        _STAMP.write_text(stamp)


def _stamp() -> str:
    """Changes with all that decides what is installed; the folder, as an editable install names it."""
    digest = hashlib.sha256(f"{CHECKOUT}\n{sys.version_info[:2]}".encode())
    for name in _INPUTS:
        digest.update((CHECKOUT / name).read_bytes())
    return digest.hexdigest()


def _make_venv() -> None:
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    try:
        _run(command, "python3 -m venv")
    except BootstrapFailed:
        # Debian's python3 comes without the part that puts pip into a new environment.
        if not apt.can_install():
            raise
        apt.install(["python3-venv"])
        _run(command, "python3 -m venv")


def _run(command: list[str], what: str) -> None:
    lines = run_quietly(command, {"PIP_NO_INPUT": "1"}, CHECKOUT)
    if lines is not None:
        errors = [line for line in lines if line.upper().startswith("ERROR")]
        raise BootstrapFailed(f"{what} failed: {(errors or lines)[-1]}")
