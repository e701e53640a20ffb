"""The result of one check of `--doctor`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, NamedTuple


class Finding(NamedTuple):
    """The result of a check, and what to do about it, if anything. It never contains a password.

    Attributes:
        severity: "note" is for information: the command works regardless.
    """

    severity: Literal["ok", "note", "PROBLEM"]
    text: str
    advice: str = ""


ok: Final = partial(Finding, "ok")
note: Final = partial(Finding, "note")
problem: Final = partial(Finding, "PROBLEM")

Check = Callable[[], Finding]
"""A function that returns within seconds. An exception that it raises is reported as a problem."""
