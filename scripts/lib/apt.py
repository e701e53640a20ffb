"""Installs Debian packages, where that is possible, without letting a package start a system service."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fanlight.common.model.errors import FanlightError
from scripts.lib.locked import locked
from scripts.lib.quietly import run_quietly

# invoke-rc.d and deb-systemd-invoke ask this program; exit code 101 says "do not start anything".
POLICY = Path("/usr/sbin/policy-rc.d")
_REFUSED = 101
_MARK = "# put here by Fanlight while it installs a package"
_UNIT_FOLDER = Path("/lib/systemd/system")
_UNITS = ("rabbitmq-server.service", "epmd.service", "epmd.socket")
_REFUSE = f"#!/bin/sh\n{_MARK}\nexit {_REFUSED}\n"


class InstallFailed(FanlightError):
    """apt-get failed."""


def can_install() -> bool:
    """True for root on Debian, Ubuntu and the like."""
    return (
        os.geteuid() == 0 and shutil.which("apt-get") is not None and Path("/etc/debian_version").exists()
    )


def install(packages: Sequence[str], show: Callable[[str], None]) -> None:
    """Install packages; none of them starts a service, now or at the next boot.

    Args:
        show: shows one line of progress.

    Raises:
        InstallFailed: one line with apt's own reason.
    """
    known = [unit for unit in _UNITS if (_UNIT_FOLDER / unit).exists()]
    with no_service_starts():
        # Package lists may be missing (a fresh container) or old (404): fetch them only then.
        if _apt(show, "install", *packages) is not None:
            _apt(show, "update")
            reason = _apt(show, "install", *packages)
            if reason is not None:
                raise InstallFailed(f"apt-get install {' '.join(packages)} failed: {reason}")
    # Debian enables what it installs: at the next boot it would take port 5672.
    new = [unit for unit in _UNITS if unit not in known and (_UNIT_FOLDER / unit).exists()]
    if new and shutil.which("systemctl"):
        subprocess.run(["systemctl", "disable", *new], check=False, capture_output=True)


def _apt(show: Callable[[str], None], action: str, *packages: str) -> str | None:
    """Run apt-get; None if it worked, else its last line that names an error."""
    command = ["apt-get", "-y", "-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300", action]
    if action == "install":
        command.append("--no-install-recommends")
    lines = run_quietly(
        [*command, *packages],
        {"DEBIAN_FRONTEND": "noninteractive"},
        progress=lambda text: show(f"apt-get {action}, {text}"),
    )
    if lines is None:
        return None
    return ([line for line in lines if line.startswith("E:")] or lines)[-1]


@contextmanager
def no_service_starts() -> Iterator[None]:
    """Refuse service starts while the block runs; what was there before comes back afterwards."""
    # One installer at a time: the first to end would take the refusal away from the second.
    with locked(POLICY.parent):
        before = POLICY.read_bytes() if POLICY.exists() else None
        if before is not None and _MARK.encode() in before:
            before = None  # left by a run that was killed
        elif before is not None and _refuses():
            yield
            return
        mode = POLICY.stat().st_mode if before is not None else 0o755
        try:
            POLICY.write_text(_REFUSE)
            POLICY.chmod(0o755)
            yield
        finally:
            if before is None:
                POLICY.unlink(missing_ok=True)
            else:
                POLICY.write_bytes(before)
                POLICY.chmod(mode)


def _refuses() -> bool:
    """True if this machine's own policy starts no service anyway, as in most containers."""
    return subprocess.run([POLICY, "rabbitmq-server", "start"], check=False).returncode == _REFUSED
