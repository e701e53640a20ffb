"""Outputs for presented frames: one module per sink, imported on use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from fanlight.consumer.sink_spec import SINKS, SinkSpec
from fanlight.consumer.sinks.base import Sink, SinkContext

__all__ = ["Sink", "SinkContext", "default_sinks", "open_sink"]


def default_sinks(environment: Mapping[str, str]) -> tuple[SinkSpec, ...]:
    """A window where there are an X display and OpenCV, else a live status line.

    `WAYLAND_DISPLAY` alone does not count: the Qt inside opencv-python speaks X only, and compositors
    that run X programs set `DISPLAY` as well.
    """
    window = environment.get("DISPLAY") and find_spec("cv2") is not None
    return (SinkSpec("window" if window else "status"),)


def open_sink(spec: SinkSpec, context: SinkContext) -> Sink:
    """Open one sink, on the presenting thread.

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

            access = context.stream_access
            ended = {} if access is None else {"ended": access.ended_in_order}
            return ShareSink(context.settings, context.stats, **ended)
        case SinkSpec("snapshot", str(path)):
            from fanlight.consumer.sinks.snapshot import SnapshotSink

            return SnapshotSink(path)
        case SinkSpec("record", str(path)):
            from fanlight.consumer.sinks.record import RecordSink

            return RecordSink(path, results=bool(context.settings.results))
        case SinkSpec("pipe", str(path)):
            from fanlight.consumer.sinks.pipe import PipeSink

            return PipeSink(path, context.settings.max_age_s)
        case SinkSpec("web", str(address)):
            from fanlight.consumer.wall.packages import wall_packages

            with wall_packages():
                from fanlight.consumer.sinks.web import WebSink
            return WebSink(context, address)
        case SinkSpec("trace", str(path)):
            from fanlight.consumer.sinks.trace import TraceSink

            return TraceSink(path)
    raise ValueError(f"{spec} is not a sink: allowed is {SINKS}")
