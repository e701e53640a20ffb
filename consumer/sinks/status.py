"""`status`: a line with the state of the stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final, TextIO

from fanlight.common import clock
from fanlight.common.model.errors import SinkError
from fanlight.common.model.reasons import reason
from fanlight.common.model.units import rate_text
from fanlight.common.runtime.live_line import LIVE_LINE
from fanlight.consumer.sinks.base import Sink, SinkContext
from fanlight.consumer.stats import ConsumerStats

_TERMINAL_INTERVAL_NS: Final = 250_000_000
_PLAIN_INTERVAL_NS: Final = 1_000_000_000


def status_line(name: str, stats: ConsumerStats) -> str:
    """The text of the line. Rare counters appear only if they are above zero."""
    parts = [name]
    if not stats.connected:
        parts.append("reconnecting..." if stats.received else "connecting...")
    elif stats.blocked:
        parts.append("broker blocked: it is short of memory or disk")
    elif stats.age_p50_s is None or stats.age_p99_s is None:
        parts.append(stats.no_frame or "waiting for the producer...")
    else:
        parts.append(rate_text(stats.fps))
        parts.append(f"age p50 {stats.age_p50_s * 1e3:.0f} ms, p99 {stats.age_p99_s * 1e3:.0f} ms")
        if stats.shared:
            parts.append("via host")
    if stats.received:
        parts.append(f"lost {stats.lost}")
        parts.append(f"skipped {stats.skipped}")
    rare = {
        "undecodable": stats.undecodable,
        "expired": stats.expired,
        "refused": stats.malformed,
        "reconnects": stats.reconnects,
    }
    parts += [f"{what} {count}" for what, count in rare.items() if count]
    return " | ".join(parts)


class StatusSink(Sink):
    """Redraws the line in place on a terminal; otherwise prints it once a second.

    A closed output pipe (`| head`) ends the consumer normally.
    """

    def __init__(
        self,
        context: SinkContext,
        stream: TextIO | None = None,
        now_ns: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        self._context = context
        self._now_ns = now_ns
        self._stream = sys.stdout if stream is None else stream
        self._live = self._stream.isatty()
        self._interval_ns = _TERMINAL_INTERVAL_NS if self._live else _PLAIN_INTERVAL_NS
        self._written_ns: int | None = None
        self._pipe_closed = False

    def tick(self) -> bool:
        now_ns = self._now_ns()
        if self._written_ns is None or now_ns - self._written_ns >= self._interval_ns:
            self._written_ns = now_ns
            self._write_line()
        return not self._pipe_closed

    def close(self) -> None:
        """Write the final figures and end the line."""
        if not self._pipe_closed:
            self._write_line()
        if self._live and not self._pipe_closed:
            self._write(LIVE_LINE.end)

    def _write_line(self) -> None:
        line = status_line(self._context.name, self._context.stats())
        if self._live:
            # One column short: a full row wraps, and \r then stays on the next row.
            line = line[: self._columns() - 1]
            self._write(lambda: LIVE_LINE.draw(self._stream, line))
        else:
            self._write(lambda: self._print(line))

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except BrokenPipeError:
            self._pipe_closed = True
        except OSError as error:
            raise SinkError(f"status cannot be written: {reason(error)}") from None

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except OSError:
            return 80
