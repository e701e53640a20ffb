"""Runs a doctor as a user would, and reads what it found."""

from __future__ import annotations

import re
from typing import Final

from tests.support.commands import run_script

LIMIT_S: Final = 40.0

Found = dict[str, tuple[str, str]]
"""By what was checked: the severity, and what was found, with the advice."""


def examine(program: str, *flags: str, **environment: str) -> tuple[int, Found]:
    """The exit code and the findings.

    The URL goes by way of the environment: one with a password in a command line is warned of.
    """
    at = flags.index("--url")
    environment["FANLIGHT_URL"] = flags[at + 1]
    flags = flags[:at] + flags[at + 2 :]
    done = run_script("-m", program, *flags, timeout_s=LIMIT_S, environment=environment)
    assert done.stderr == ""
    assert "SECRET" not in done.stdout
    *lines, summary = done.stdout.splitlines()
    assert summary.endswith("nothing is wrong") == (done.returncode == 0)
    found = (re.fullmatch(r"(ok|note|PROBLEM) +(\w[\w ]*(?: at \S+)?): (.*)", line) for line in lines)
    return done.returncode, {match[2]: (match[1], match[3]) for match in found if match}


def problems(found: Found) -> dict[str, str]:
    return {check: text for check, (severity, text) in found.items() if severity == "PROBLEM"}
