"""Where presented frames go: one file per sink, each imported only when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fanlight.consumer.sinks.base import Sink, SinkContext

__all__ = [
    "SINKS",
    "Sink",
    "SinkContext",
    "SinkSpec",
    "default_sinks",
    "open_sink",
    "parse_sink",
]

SINKS: Final = "window, status, null, share, snapshot:FILE, record:FILE or trace:FILE"
_PLAIN: Final = ("window", "status", "null", "share")
_TO_FILE: Final = ("snapshot", "record", "trace")


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A sink as the user named it.

    Attributes:
        kind: one of the names in `SINKS`.
        argument: what stood after the colon; None where the kind takes nothing.
    """

    kind: str
    argument: str | None = None

    def __str__(self) -> str:
        return self.kind if self.argument is None else f"{self.kind}:{self.argument}"


def parse_sink(text: str) -> SinkSpec:
    """Read `KIND` or `KIND:FILE`.

    Raises:
        ValueError: unknown kind, or an argument missing or superfluous; says what is allowed.
    """
    kind, colon, argument = text.strip().partition(":")
    if kind in _PLAIN:
        if colon:
            raise ValueError(f"{kind}, with nothing after it")
        return SinkSpec(kind)
    if kind in _TO_FILE:
        if not argument:
            raise ValueError(f"{kind}:FILE, with the name of a file")
        return SinkSpec(kind, argument)
    raise ValueError(SINKS)


def default_sinks(environment: Mapping[str, str]) -> tuple[SinkSpec, ...]:
    """A window where there is an X display, else a live status line.

    `WAYLAND_DISPLAY` alone does not count: the Qt inside opencv-python speaks X only, and compositors
    that run X programs set `DISPLAY` as well.
    """
    return (SinkSpec("window" if environment.get("DISPLAY") else "status"),)


def open_sink(spec: SinkSpec, context: SinkContext) -> Sink:
    """Open one sink, in the thread that will present.

    Raises:
        ConfigError: its file cannot be used.
        SinkError: it cannot be opened here (no display).
        ValueError: `spec` did not come from `parse_sink`.
    """
    match spec:
        case SinkSpec("window", None):
            from fanlight.consumer.sinks.window import WindowSink

            return WindowSink(context)
        case SinkSpec("status", None):
            from fanlight.consumer.sinks.status import StatusSink

            return StatusSink(context)
        case SinkSpec("null", None):
            from fanlight.consumer.sinks.null import NullSink

            return NullSink()
        case SinkSpec("share", None):
            from fanlight.consumer.sinks.share import ShareSink

            return ShareSink(context.settings, context.stats)
        case SinkSpec("snapshot", str(path)):
            from fanlight.consumer.sinks.snapshot import SnapshotSink

            return SnapshotSink(path)
        case SinkSpec("record", str(path)):
            from fanlight.consumer.sinks.record import RecordSink

            return RecordSink(path)
        case SinkSpec("trace", str(path)):
            from fanlight.consumer.sinks.trace import TraceSink

            return TraceSink(path)
    raise ValueError(f"{spec} is not a sink: allowed is {SINKS}")
