"""Runs the checks of a doctor, one after the other, and writes one line for each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TextIO

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.finding import Check, problem
from fanlight.common.model.redact import without_secrets


def report(program: str, checks: Mapping[str, Check], out: TextIO | None = None) -> int:
    """Run all checks and write what they find; the exit code: 0, or 1 if there is a problem."""
    # What the parts log is part of the findings.
    logging.getLogger().setLevel(logging.CRITICAL)
    out = out or sys.stdout
    problems = 0
    for title, check in checks.items():
        try:
            found = check()
        except FanlightError as error:
            found = problem(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a library raises is a finding
            found = problem(without_secrets(f"{type(error).__name__}: {error}"))
        problems += found.severity == "PROBLEM"
        advice = f" -> {found.advice}" if found.advice else ""
        out.write(f"{found.severity:<7} {title}: {found.text}{advice}\n")
        out.flush()
    out.write(f"{program}: " + (f"problems: {problems}\n" if problems else "nothing is wrong\n"))
    return 1 if problems else 0
