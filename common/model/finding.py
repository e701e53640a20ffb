"""What one check of `--doctor` found."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, NamedTuple


class Finding(NamedTuple):
    """What a check found, never with a password, and what to do about it, if anything.

    Attributes:
        severity: a note is worth knowing; the command works without.
    """

    severity: Literal["ok", "note", "PROBLEM"]
    text: str
    advice: str = ""


ok: Final = partial(Finding, "ok")
note: Final = partial(Finding, "note")
problem: Final = partial(Finding, "PROBLEM")

Check = Callable[[], Finding]
"""Ends within seconds by itself. What it raises is a problem."""
