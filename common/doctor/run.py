"""Runs checks side by side, each in a thread that may be left behind, and writes what they find."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final, TextIO

from common.clock import wall_ns
from common.doctor.finding import Check, Finding, Verdict, problem
from common.errors import FanlightError
from common.shell.logs import LogFormat, json_line

_LATE: Final = "it hangs: what is looked at there does not answer"
_SIGNS: Final = {Verdict.OK: "ok     ", Verdict.NOTE: "note   ", Verdict.PROBLEM: "PROBLEM"}
_LEVELS: Final = {Verdict.OK: "info", Verdict.NOTE: "warning", Verdict.PROBLEM: "error"}


def report(program: str, checks: Sequence[Check], form: LogFormat, stream: TextIO | None = None) -> int:
    """Run all checks and write their findings in order; the exit code: 0, or 1 if there is a problem."""
    # What the parts say by themselves would be said twice.
    logging.getLogger().setLevel(logging.CRITICAL)
    out = sys.stdout if stream is None else stream
    running = [_Running(check) for check in checks]
    problems = 0
    for each in running:
        for finding in each.findings():
            problems += finding.verdict is Verdict.PROBLEM
            out.write(_line(program, finding, form) + "\n")
            out.flush()
    if form is LogFormat.TEXT:
        told = "nothing is wrong" if not problems else f"problems: {problems}"
        out.write(f"{program}: {told}\n")
        out.flush()
    return 1 if problems else 0


class _Running:
    """A check in a thread of its own. Codecs and drivers cannot be interrupted, hence a daemon."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._found: list[Finding] = []
        self._until_s = time.monotonic() + check.limit_s
        self._thread = threading.Thread(target=self._run, name=f"doctor {check.title}", daemon=True)
        self._thread.start()

    def findings(self) -> list[Finding]:
        """What it found until its time was over."""
        self._thread.join(max(0.0, self._until_s - time.monotonic()))
        late = self._thread.is_alive()
        found = list(self._found)
        if late:
            found.append(problem(self._check.title, f"no result within {self._check.limit_s:g} s", _LATE))
        return found

    def _run(self) -> None:
        try:
            for finding in self._check.look():
                self._found.append(finding)
        except FanlightError as error:
            self._found.append(problem(self._check.title, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a library throws is a finding
            self._found.append(problem(self._check.title, f"{type(error).__name__}: {error}"))


def _line(program: str, finding: Finding, form: LogFormat) -> str:
    if form is LogFormat.JSON:
        more = {"check": finding.check, "verdict": str(finding.verdict), "advice": finding.advice}
        return json_line(
            program,
            _LEVELS[finding.verdict],
            "doctor",
            finding.text,
            created_s=wall_ns() / 1e9,
            more=more,
        )
    advice = f"\n{'':27}-> {finding.advice}" if finding.advice else ""
    return f"{_SIGNS[finding.verdict]} {finding.check:<18} {finding.text}{advice}"
