"""`trace:FILE`: one CSV line for every frame received."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fanlight.common import clock
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.sinks.files import WriteRetry, only_writer, unusable
from fanlight.consumer.stats import TraceRow

HEADER: Final = "seq,capture_ns,received_ns,presented_ns,event,meta\n"
_FLUSH_INTERVAL_NS: Final = 1_000_000_000
# One minute of rows, kept while the disk is full.
_MAX_BYTES: Final = 1 << 18


def line(row: TraceRow) -> str:
    """One row, times in Unix nanoseconds; `presented_ns` is empty if the frame was not presented.

    `meta` is the frame's JSON text, in quotes, those within doubled (RFC 4180); empty without.
    """
    presented = "" if row.presented_ns is None else row.presented_ns
    meta = '"{}"'.format(row.meta.replace('"', '""')) if row.meta else ""
    return f"{row.seq},{row.capture_ns},{row.received_ns},{presented},{row.outcome},{meta}\n"


class TraceSink(Sink):
    """Writes about once a second: a crash loses at most that much. Replaces an existing FILE.

    While the disk is full, or FILE cannot be written for another reason, 256 KiB of rows are kept and later
    ones left out. This is logged, and writing resumes by itself. If it fails until the end, the consumer
    ends with an error.

    Raises:
        ConfigError: FILE cannot be written.
    """

    def __init__(self, path: str, now_ns: Callable[[], int] = clock.monotonic_ns) -> None:
        self._path = Path(path)
        self._now_ns = now_ns
        try:
            # Unbuffered: the number of bytes written to a full disk has to be known.
            self._file = open(self._path, "wb", buffering=0, opener=only_writer)  # noqa: SIM115 - `close`
        except OSError as error:
            raise unusable("trace", self._path, error) from None
        self._pending = bytearray(HEADER.encode())
        self._missing = 0
        self._retry = WriteRetry("trace", self._path)
        self._flushed_ns = now_ns()

    def trace(self, row: TraceRow) -> None:
        if len(self._pending) >= _MAX_BYTES:
            self._flush()
        if len(self._pending) < _MAX_BYTES:
            self._pending += line(row).encode()
        else:
            self._missing += 1

    def tick(self) -> bool:
        if self._now_ns() - self._flushed_ns >= _FLUSH_INTERVAL_NS:
            self._flush()
        return True

    def close(self) -> None:
        self._flush(last=True)
        self._file.close()
        if (failure := self._retry.failure) is not None:
            raise failure

    def _flush(self, *, last: bool = False) -> None:
        now_ns = self._now_ns()
        self._flushed_ns = now_ns
        if not self._retry.due(now_ns) and not last:
            return
        try:
            while self._pending:
                count = self._file.write(self._pending)
                if count is None:
                    raise BlockingIOError(errno.EAGAIN, "nobody reads it")
                del self._pending[:count]
        except OSError as error:
            self._retry.failed(error, now_ns)
        else:
            missing, self._missing = self._missing, 0
            self._retry.succeeded(f", {missing} rows are missing" if missing else "")
