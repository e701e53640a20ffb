"""Parses `--sink`: `KIND`, `KIND:FILE` or `web:HOST:PORT`. The sinks themselves are in `consumer.sinks`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from fanlight.common.model.units import Notation
from fanlight.common.runtime.settings import LISTEN_ADDRESS

DESCRIPTIONS: Final = {
    "window": "a window with name, frame rate and age; says so when the picture stands still; draws "
    "[results](results.md), which `r` switches off and on; `q`, Esc or closing it ends the consumer",
    "status": "one live line: frame rate, age p50 and p99, what was lost and skipped",
    "null": "decodes and discards; for benchmarks",
    "share": "makes this consumer the hub of its host ([hub.md](hub.md)); needs Linux",
    "snapshot:FILE": "the newest picture, at most once a second, as a `.jpg` or `.png`, always whole",
    "record:FILE": "the stream as it came, in `.mp4` or `.mkv`, not encoded again (`raw` is, as H.264); "
    "overwrites nothing; has the time at which it begins; plays after `kill -9`, but for the last quarter "
    "of a second; with `--results`, or if frames have metadata, FILE.jsonl has "
    "[what the file cannot hold](results.md#in-recordings)",
    "pipe:FILE": "the encoded stream, for a program that reads FILE (a FIFO, or a file that is replaced): "
    "as it came, H.264 or one JPEG after the other, or as MPEG-TS where FILE ends in `.ts`; `-` and `-.ts` "
    "are standard output ([players.md](players.md)); when the program ends, so does the consumer",
    "web:HOST:PORT": "the stream in browsers and players: `http://HOST:PORT/` is the page of "
    "`python -m consumer.wall` ([web.md](web.md)); beyond this machine it needs a token",
    "trace:FILE": "CSV, one line for every frame received: "
    "`seq,capture_ns,received_ns,presented_ns,event,meta`",
}
"""What each sink does, by its form on the command line; docs/reference.md is made from it."""

STANDARD_OUTPUT: Final = frozenset({"-", "-.ts"})
"""What FILE of `pipe` is for standard output: as it came, and MPEG-TS."""

SINKS: Final = " or ".join(", ".join(DESCRIPTIONS).rsplit(", ", 1))


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A parsed `--sink`.

    Attributes:
        kind: one of the names in `SINKS`.
        argument: the part after the colon; None for kinds without one.
    """

    kind: str
    argument: str | None = None

    @property
    def output(self) -> str:
        """What only one sink can write to. Raises FileNotFoundError if it is in no folder."""
        if self.kind == "web":
            return str(self)
        if self.kind == "status" or (self.kind == "pipe" and self.argument in STANDARD_OUTPUT):
            return "standard output"
        return self.kind if self.argument is None else os.path.realpath(self.argument)

    def __str__(self) -> str:
        return self.kind if self.argument is None else f"{self.kind}:{self.argument}"


def parse_sink(text: str) -> SinkSpec:
    """Parse `KIND`, `KIND:FILE` or `web:HOST:PORT`. Raises ValueError with the allowed forms."""
    kind, colon, argument = text.strip().partition(":")
    if kind in DESCRIPTIONS and not colon:
        return SinkSpec(kind)
    if f"{kind}:FILE" in DESCRIPTIONS and argument:
        # In `record:~/x.mp4` the shell leaves the ~.
        return SinkSpec(kind, os.path.expanduser(argument))
    if kind == "web" and argument:
        LISTEN_ADDRESS.read(argument)
        return SinkSpec(kind, argument)
    raise ValueError(SINKS)


SINK: Final = Notation(SINKS, parse_sink, lambda value: isinstance(value, SinkSpec))
