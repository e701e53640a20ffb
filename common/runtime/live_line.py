"""A line that is redrawn in place at the bottom of a terminal, and log lines that go above it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO


class LiveLine:
    """The live line of a terminal. Thread-safe; uses no escape sequences.

    `draw` and `end` raise OSError if the terminal cannot be written to.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: TextIO | None = None
        self._text = ""

    def draw(self, stream: TextIO, text: str) -> None:
        """Draw it, over the one before. `text` has to be shorter than a row of the terminal."""
        with self._lock:
            # Spaces overwrite the rest of a longer previous line.
            width, self._stream, self._text = len(self._text), stream, text
            _write(stream, f"\r{text:<{width}}")

    def end(self) -> None:
        """Leave the line as it is; what follows goes below."""
        with self._lock:
            stream, self._stream, self._text = self._stream, None, ""
            if stream is not None:
                _write(stream, "\n")

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Remove the line while the block writes whole lines to the terminal, and draw it again below."""
        with self._lock:
            stream = self._stream
            if stream is None:
                yield
                return
            with suppress(OSError):  # the next `draw` raises it
                _write(stream, f"\r{'':<{len(self._text)}}\r")
            yield
            with suppress(OSError):
                _write(stream, self._text)


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes log lines; on a terminal, above the live line."""

    def emit(self, record: logging.LogRecord) -> None:
        if not self.stream.isatty():
            super().emit(record)
            return
        with LIVE_LINE.set_aside():
            super().emit(record)


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


# Of this process: it has one terminal.
LIVE_LINE: Final = LiveLine()
