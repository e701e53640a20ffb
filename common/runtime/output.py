"""Standard output and standard error that never keep a thread waiting for their reader."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Final, TextIO, cast

# A reader that is slow, such as a terminal, may take this long; one that took nothing for so long is not
# waited for again before it reads.
_PATIENCE_MS: Final = 100
_CHUNK_BYTES: Final = select.PIPE_BUF


@contextlib.contextmanager
def unblocked_output() -> Iterator[None]:
    """In the block, what nobody reads is dropped and counted, by whichever thread it is written.

    Regular files are left as they are: they have no reader.
    """
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        sys.stdout, sys.stderr = (_unblocked(stream, stack) for stream in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def _unblocked(stream: TextIO, stack: contextlib.ExitStack) -> TextIO:
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError):  # closed, or a program's own
        return stream
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)):
        return stream
    stream.flush()
    unblocked = stack.enter_context(contextlib.closing(UnblockedText(descriptor, stream.encoding)))
    return cast("TextIO", unblocked)


class UnblockedText(io.TextIOBase):
    """Writes text to a pipe, a terminal or a socket. Thread-safe.

    When its reader reads again, a line says how many were dropped.

    Raises:
        BrokenPipeError: the reader is gone.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._own = _reopened(descriptor)
        self._poll = select.poll()
        self._poll.register(self._target, select.POLLOUT)
        self._lock = threading.Lock()
        self._dropped = 0
        self._torn = False

    @property
    def _target(self) -> int:
        return self._descriptor if self._own is None else self._own

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            if self._dropped and self._send(self._notice()):
                self._dropped = 0
            if self._dropped or not self._send(text):
                self._dropped += 1
        return len(text)

    def close(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            os.close(own)

    def _notice(self) -> str:
        begin = "\n" if self._torn else ""
        return f"{begin}({self._dropped} lines before this one could not be written)\n"

    def _send(self, text: str) -> bool:
        """False if the reader does not take it all."""
        data = text.encode(self._encoding, "backslashreplace")
        while data:
            if not self._poll.poll(0 if self._dropped else _PATIENCE_MS):
                return False
            try:
                count = os.write(self._target, data[:_CHUNK_BYTES])
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno == errno.EIO:  # a terminal that has been closed
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
                raise
            data = data[count:]
            self._torn = bool(data)
        return True


def _reopened(descriptor: int) -> int | None:
    """The same pipe or terminal, opened again: O_NONBLOCK of this one would be everybody's who shares it.

    None where that is impossible: then a reader that others have filled meanwhile may still block.
    """
    try:
        return os.open(
            f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        )
    except OSError:  # another user's, a socket, or no /proc
        return None
