"""Standard streams that the caller has closed (`>&-`)."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Make closed standard streams lead to /dev/null, as if the caller had redirected them there.

    Otherwise the next file or socket would get the number of a closed one, and receive what libraries
    print. To be called before anything is opened.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            stream = open(number, mode, errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
