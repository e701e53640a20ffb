"""Removes secrets from this process's command line, which every user can read in the process list."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fanlight.common.model.redact import without_secrets

# The credentials of the broker that `scripts/broker` starts, which are public.
_KNOWN: Final = "://fanlight:fanlight@"
_PROC: Final = Path("/proc/self")
# proc(5), /proc/PID/stat: the fields 48 and 49, counted from the third on.
_ARG_START, _ARG_END = 48 - 3, 49 - 3


def has_secret(arguments: Sequence[str]) -> bool:
    """Whether one of the arguments contains a URL with a secret."""
    return any(_hidden(argument) != argument for argument in arguments)


def hide_secrets() -> None:
    """Overwrite them in the memory from which the kernel reads the command line. Linux only.

    They are readable until this is called, some hundredths of a second after the start.
    """
    # No such file; or a kernel that does not let a process write its own memory this way.
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        with (_PROC / "mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            arguments = memory.read(end - start).split(b"\0")
            # latin-1 maps every byte to one character, so that all other bytes stay unchanged.
            shown = b"\0".join(_hidden(each.decode("latin-1")).encode("latin-1") for each in arguments)
            memory.seek(start)
            # Same length, and a NUL at the end: without it the kernel reads beyond the end.
            memory.write(shown[: end - start - 1].ljust(end - start, b"\0"))


def _hidden(argument: str) -> str:
    return argument if _KNOWN in argument else without_secrets(argument)
