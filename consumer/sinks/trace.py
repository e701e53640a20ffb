"""`trace:FILE`: one CSV line for every frame received."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.sinks.files import Trouble, unusable
from fanlight.consumer.stats import Outcome

HEADER: Final = "seq,capture_ns,received_ns,presented_ns,event\n"
_FLUSH_INTERVAL_NS: Final = 1_000_000_000
# Rows of a minute, that wait for a disk that is full.
_MOST_BYTES: Final = 1 << 18


def line(outcome: Outcome) -> str:
    """One row, times in Unix nanoseconds; `presented_ns` is empty if the frame was not presented."""
    presented = "" if outcome.presented_ns is None else outcome.presented_ns
    return f"{outcome.seq},{outcome.capture_ns},{outcome.received_ns},{presented},{outcome.event}\n"


class TraceSink(Sink):
    """Writes about once a second, so that a crash costs at most that much. Replaces an older FILE.

    While the disk is full, or FILE cannot be written for another reason, 256 KiB of rows are kept and
    later ones left out; that is said, and it goes on by itself. If it could not by the end, the
    consumer ends with an error.

    Raises:
        ConfigError: FILE cannot be written.
    """

    wants_outcomes = True

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        try:
            # Without a buffer: what a full disk did not take is to be known.
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise unusable("trace", self._path, error) from None
        self._pending = bytearray(HEADER.encode())
        self._missing = 0
        self._trouble = Trouble("trace", self._path)
        self._flushed_ns = monotonic_ns()

    def outcome(self, outcome: Outcome) -> None:
        if len(self._pending) >= _MOST_BYTES:
            self._flush()
        if len(self._pending) < _MOST_BYTES:
            self._pending += line(outcome).encode()
        else:
            self._missing += 1

    def tick(self) -> bool:
        if monotonic_ns() - self._flushed_ns >= _FLUSH_INTERVAL_NS:
            self._flush()
        return True

    def close(self) -> None:
        self._flush(last=True)
        self._file.close()
        if (failure := self._trouble.failure) is not None:
            raise failure

    def _flush(self, *, last: bool = False) -> None:
        now_ns = monotonic_ns()
        self._flushed_ns = now_ns
        if not self._trouble.try_now(now_ns) and not last:
            return
        try:
            while self._pending:
                del self._pending[: self._file.write(self._pending)]
        except OSError as error:
            self._trouble.began(error, now_ns)
        else:
            missing, self._missing = self._missing, 0
            self._trouble.over(f", {missing} rows are missing" if missing else "")
