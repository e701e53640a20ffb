"""What a process of ours does without, so that twenty of them fit on one machine.

For the commands only, and before anything else is imported: a program that uses the classes decides for
itself what it loads.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Final

_ASYNCIO_ADAPTER: Final = "pika.adapters.asyncio_connection"


def lean_process() -> None:
    """Keep numpy's BLAS from starting threads, and pika from loading asyncio."""
    # Nothing here multiplies matrices: a thread and its buffers for every core would lie idle.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if _ASYNCIO_ADAPTER not in sys.modules:
        # `import pika` imports all its adapters; this one alone brings 3.4 MiB along (asyncio).
        unused = ModuleType(_ASYNCIO_ADAPTER)
        unused.__dict__["AsyncioConnection"] = None
        sys.modules[_ASYNCIO_ADAPTER] = unused
