"""The command line of `scripts/doctor`: makes `.venv`, and looks from there. Standard library only."""

from __future__ import annotations

import os
import sys

from common.errors import FanlightError
from scripts.lib.bootstrap import PYTHON, ensure_venv
from scripts.lib.instance import CHECKOUT


def main() -> int:
    """Run `scripts/doctor`; the exit code, unless this process goes on as the examination."""
    try:
        ensure_venv(_say)
    except (FanlightError, OSError) as error:
        _say(str(error))
        return 1
    os.chdir(CHECKOUT)
    command = [str(PYTHON), "-m", "scripts.lib.examination", *sys.argv[1:]]
    return os.execv(PYTHON, command)


def _say(text: str) -> None:
    print(f"doctor: {text}", file=sys.stderr, flush=True)
