"""What a check of the doctor found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Of one finding."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; the command works without."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at.
        text: what was found; never a password.
        advice: what to do about it; empty if there is nothing to do.
    """

    check: str
    verdict: Verdict
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One or more findings that are made one after the other.

    Attributes:
        title: what is looked at, for a check that says nothing in time.
        limit_s: for all of it.
        look: may raise a FanlightError, which becomes a problem.
    """

    title: str
    limit_s: float
    look: Callable[[], Iterable[Finding]]


def ok(check: str, text: str) -> Finding:
    return Finding(check, Verdict.OK, text)


def note(check: str, text: str, advice: str = "") -> Finding:
    return Finding(check, Verdict.NOTE, text, advice)


def problem(check: str, text: str, advice: str = "") -> Finding:
    return Finding(check, Verdict.PROBLEM, text, advice)
