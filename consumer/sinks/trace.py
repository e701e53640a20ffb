"""`trace:FILE`: one CSV line for every frame received."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from common.clock import monotonic_ns
from consumer.sinks.base import Sink
from consumer.sinks.files import failed, unusable
from consumer.stats import Outcome

HEADER: Final = "seq,capture_ns,received_ns,presented_ns,event\n"
_FLUSH_INTERVAL_NS: Final = 1_000_000_000
_BUFFER_BYTES: Final = 1 << 18


def line(outcome: Outcome) -> str:
    """One row, times in Unix nanoseconds; `presented_ns` is empty if the frame was not presented."""
    presented = "" if outcome.presented_ns is None else outcome.presented_ns
    return f"{outcome.seq},{outcome.capture_ns},{outcome.received_ns},{presented},{outcome.event}\n"


class TraceSink(Sink):
    """Writes about once a second, so that a crash costs at most that much. Replaces an older FILE.

    Raises:
        ConfigError: FILE cannot be written.
    """

    wants_outcomes = True

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        try:
            self._file = self._path.open("w", buffering=_BUFFER_BYTES, encoding="ascii", newline="")
        except OSError as error:
            raise unusable("trace", self._path, error) from None
        self._file.write(HEADER)
        self._flushed_ns = monotonic_ns()

    def outcome(self, outcome: Outcome) -> None:
        try:
            self._file.write(line(outcome))
        except OSError as error:
            raise failed("trace", self._path, error) from None

    def tick(self) -> bool:
        now_ns = monotonic_ns()
        if now_ns - self._flushed_ns >= _FLUSH_INTERVAL_NS:
            self._flushed_ns = now_ns
            try:
                self._file.flush()
            except OSError as error:
                raise failed("trace", self._path, error) from None
        return True

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise failed("trace", self._path, error) from None
