"""Runs a doctor as a user would, and reads what it found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any, Final

from tests.support.commands import ROOT, clean_environment
from tests.support.timing import scaled

LIMIT_S: Final = 15.0

Found = dict[str, dict[str, Any]]


def examine(program: str, *flags: str, **environment: str) -> tuple[int, Found]:
    """The exit code, and the findings by what was looked at.

    The URL goes by way of the environment: one with a password in a command line is warned of.
    """
    at = flags.index("--url")
    environment["FANLIGHT_URL"] = flags[at + 1]
    flags = flags[:at] + flags[at + 2 :]
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", program, *flags, "--log-format", "json"],
        cwd=ROOT,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(60),
    )
    assert time.monotonic() - began_s < scaled(LIMIT_S)
    assert done.stderr == ""
    assert "SECRET" not in done.stdout
    return done.returncode, {said["check"]: said for said in map(json.loads, done.stdout.splitlines())}


def problems(found: Found) -> dict[str, str]:
    return {check: said["message"] for check, said in found.items() if said["verdict"] == "problem"}
