"""What a process of ours does without, so that twenty of them fit on one machine.

For the commands only, and before anything else is imported: a program that uses the classes decides for
itself.
"""

from __future__ import annotations

import os


def lean_process() -> None:
    """Keep numpy's BLAS from starting threads."""
    # Nothing here multiplies matrices: a thread and its buffers for every core would lie idle.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
