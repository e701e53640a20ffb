"""Shows the demo: a table redrawn in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Protocol, TextIO

_SEPARATOR = " | "  # as consumers separate the parts of their status line
_UP, _CLEAR_BELOW = "\x1b[{}A", "\x1b[J"


class Display(Protocol):
    """What the demo reports to."""

    def status(self, name: str, text: str) -> None: ...
    def note(self, text: str) -> None: ...


class PlainDisplay:
    """Every line as it comes; consumers send one a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def status(self, name: str, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class TableDisplay:
    """One row per name, always at the bottom of the terminal; notes scroll by above it."""

    def __init__(self, stream: TextIO, names: Sequence[str]) -> None:
        self._stream = stream
        self._rows = {name: f"{name}{_SEPARATOR}starting..." for name in names}
        self._drawn = 0
        self._redraw()

    def status(self, name: str, text: str) -> None:
        self._rows[name] = text
        self._redraw()

    def note(self, text: str) -> None:
        self._redraw(text)

    def _redraw(self, *above: str) -> None:
        # A row that wraps would take two lines, and the next redraw would start one line too low.
        width = shutil.get_terminal_size().columns - 1
        rows = [row[:width] for row in aligned(list(self._rows.values()))]
        back = _UP.format(self._drawn) + "\r" if self._drawn else ""
        self._stream.write(back + _CLEAR_BELOW + "".join(f"{line}\n" for line in (*above, *rows)))
        self._stream.flush()
        self._drawn = len(rows)


def aligned(rows: Sequence[str]) -> list[str]:
    """The same rows with their parts in columns. What is in the parts, the consumer decides."""
    parts = [row.split(_SEPARATOR) for row in rows]
    columns = max((len(row) for row in parts), default=0)
    widths = [max(len(row[at]) for row in parts if at < len(row)) for at in range(columns)]
    return [
        "   ".join(part.ljust(width) for part, width in zip(row, widths, strict=False)).rstrip()
        for row in parts
    ]
