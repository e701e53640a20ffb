"""Traces of the Python peers, like ours."""

from __future__ import annotations

import time
from pathlib import Path

_HEADER = "seq,capture_ns,received_ns,presented_ns,event\n"


class TraceFile:
    """Written through about once a second."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("w", encoding="ascii")  # noqa: SIM115 (open as long as the process runs)
        self._file.write(_HEADER)
        self._flushed_s = 0.0

    def presented(self, seq: int, capture_ns: int, received_ns: int) -> None:
        self._file.write(f"{seq},{capture_ns},{received_ns},{time.time_ns()},presented\n")
        now_s = time.monotonic()
        if now_s - self._flushed_s > 1.0:
            self._flushed_s = now_s
            self._file.flush()
