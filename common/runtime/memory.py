"""What a process of ours does without, so that twenty of them fit on one machine.

For the commands only, and before anything else is imported: a program that uses the classes decides for
itself.
"""

from __future__ import annotations

import os
import sys


def lean_process() -> None:
    """Keep numpy's BLAS from starting threads."""
    # Nothing here multiplies matrices: a thread and its buffers for every core would lie idle.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def give_back_memory() -> None:
    """After everything is imported: 1 to 1.5 MiB that only importing took."""
    import ctypes  # here: `--help` has no use for it

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
