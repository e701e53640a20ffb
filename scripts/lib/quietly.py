"""Runs a program whose output is of interest only if it fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_quietly(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None = None,
    timeout_s: float | None = None,
) -> list[str] | None:
    """None if it worked, else what it printed, line by line, or a line that says how it ended.

    Args:
        environment: beside that of this process.
    """
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return [f"no answer within {timeout_s:g} s"]
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return None if done.returncode == 0 else lines or [f"exit code {done.returncode}"]
