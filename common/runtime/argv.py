"""Removes secrets from this process's command line, which every user can read in the process list."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fanlight.common.model.redact import url_without_secrets

# The credentials of the broker that `scripts/broker` starts, which are public.
_KNOWN: Final = "://fanlight:fanlight@"
_PROC: Final = Path("/proc/self")
# proc(5), /proc/PID/stat: the fields 48 and 49, counted from the third on.
_ARG_START, _ARG_END = 48 - 3, 49 - 3
_EXPOSED: Final = (
    "what may be a secret on the command line can be read by everybody in the process list (%s): better "
    "use FANLIGHT_SOURCE or --source-file for a source, FANLIGHT_URL, FANLIGHT_PASSWORD or --password-file "
    "for the broker"
)


def hide_secrets() -> str | None:
    """Overwrite them in the memory from which the kernel reads the command line. Linux only. Idempotent.

    They are readable until this is called, some hundredths of a second after the start, and `sys.argv`
    keeps them.

    Returns:
        A warning if there are any.
    """
    if not has_secret(sys.argv[1:]):
        return None
    # No such file; or a kernel that does not let a process write its own memory this way.
    with contextlib.suppress(OSError, ValueError, IndexError):
        _overwrite()
        if not has_secret(_listed((_PROC / "cmdline").read_bytes())):
            return _EXPOSED % "hidden from now on"
    return _EXPOSED % "it cannot be hidden on this system"


def has_secret(arguments: Sequence[str]) -> bool:
    """Whether one of the arguments contains a URL with a secret."""
    return any(_hidden(argument) != argument for argument in arguments)


def _overwrite() -> None:
    fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    with (_PROC / "mem").open("r+b", buffering=0) as memory:
        memory.seek(start)
        shown = "\0".join(map(_hidden, _listed(memory.read(end - start)))).encode("latin-1")
        memory.seek(start)
        # Same length, and a NUL at the end: without it the kernel reads beyond the end.
        memory.write(shown[: end - start - 1].ljust(end - start, b"\0"))


def _listed(arguments: bytes) -> list[str]:
    # latin-1 maps every byte to one character, so that all other bytes stay unchanged.
    return arguments.decode("latin-1").split("\0")


def _hidden(argument: str) -> str:
    return argument if _KNOWN in argument else url_without_secrets(argument)
