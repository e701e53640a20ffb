"""Looks at what may hang or abort (Qt, camera drivers) in a process that may be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from common.errors import FanlightError

_ROOT: Final = Path(__file__).parents[2]
_REASON: Final = 3

_FRAME: Final = """
import json, os, sys
from common.errors import FanlightError
given = json.load(sys.stdin)
try:
    said = look(given)
except FanlightError as error:
    sys.stdout.write(str(error))
    sys.stdout.flush()
    os._exit(3)
sys.stdout.write(said)
sys.stdout.flush()
os._exit(0)
"""


class ChildFailed(FanlightError):
    """What was looked at does not work; says why."""


def look_in_child(code: str, given: dict[str, object], timeout_s: float) -> str:
    """Run `code`, which defines `look(given) -> str`, in a new Python; what it returned.

    Args:
        given: by way of a pipe, as a URL in it may hold a password: an argument is seen by everybody.

    Raises:
        ChildFailed: it raised a FanlightError, crashed, or was not done in time.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code + _FRAME],
            check=False,
            cwd=_ROOT,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"it hangs: no answer within {timeout_s:g} s") from None
    said = done.stdout.strip()
    if done.returncode == 0:
        return said
    if done.returncode == _REASON and said:
        raise ChildFailed(said)
    last = ([line for line in done.stderr.splitlines() if line.strip()] or ["nothing was said"])[-1]
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise ChildFailed(f"it crashed ({how}): {last[:300]}")
