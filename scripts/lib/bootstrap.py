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
# What is installed: for running the commands, or for tests, measuring and development too.
RUN, ALL = "camera,wall,window", "dev"
_STAMP = VENV / "fanlight-stamp"
_INPUTS = ("pyproject.toml", "constraints.txt")


class BootstrapFailed(FanlightError):
    """The virtual environment cannot be made."""


def ensure_venv(show: Callable[[str], None], extras: str = ALL) -> None:
    """Create `.venv` and install Fanlight into it, unless that was done with the same files before.

    Args:
        show: shows one line of progress.
        extras: RUN or ALL.

    Raises:
        BootstrapFailed: one line with the reason.
    """
    with locked(CHECKOUT):
        stamp = _stamp()
        done = _STAMP.read_text().split() if PYTHON.exists() and _STAMP.exists() else []
        if done in ([stamp, extras], [stamp, ALL]):
            return
        if not PYTHON.exists():
            show("making the virtual environment .venv")
            _make_venv(show)
        show(f"installing Fanlight [{extras}] into .venv (about a minute the first time)")
        pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
        wanted = ["--constraint", "constraints.txt", "--editable", f".[{extras}]"]
        _run([*pip, "install", "--progress-bar=off", *wanted], "pip install", show)
        _STAMP.write_text(f"{stamp} {extras}")


def _stamp() -> str:
    """Changes with all that decides what is installed; the folder, as an editable install names it."""
    digest = hashlib.sha256(f"{CHECKOUT}\n{sys.version_info[:2]}".encode())
    for name in _INPUTS:
        digest.update((CHECKOUT / name).read_bytes())
    return digest.hexdigest()


def _make_venv(show: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    try:
        _run(command, "python3 -m venv", show)
    except BootstrapFailed:
        # Debian's python3 comes without the part that puts pip into a new environment.
        if not apt.can_install():
            raise
        apt.install(["python3-venv"], show)
        _run(command, "python3 -m venv", show)


def _run(command: list[str], what: str, show: Callable[[str], None]) -> None:
    lines = run_quietly(
        command, {"PIP_NO_INPUT": "1"}, CHECKOUT, progress=lambda text: show(f"{what}, {text}")
    )
    if lines is not None:
        errors = [line for line in lines if line.upper().startswith("ERROR")]
        raise BootstrapFailed(f"{what} failed: {(errors or lines)[-1]}")
