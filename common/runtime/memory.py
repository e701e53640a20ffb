"""Reduces the memory of a command's process, so that twenty of them fit on one machine.

Used by the commands only: a program that uses the classes decides for itself.
"""

from __future__ import annotations

import os
import sys


def lean_process() -> None:
    """Keep numpy's BLAS from starting threads. To be called before numpy is imported."""
    # No matrices are multiplied: a thread per core, and its buffers, would be unused.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def give_back_memory() -> None:
    """Release 1 to 1.5 MiB that importing has used. To be called after everything is imported."""
    import ctypes  # not at the top: `--help` does not need it

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
