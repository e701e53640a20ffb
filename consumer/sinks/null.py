"""`null`: the picture is decoded to BGR and let go. For measuring, and for `--work`."""

from __future__ import annotations

from fanlight.consumer.sinks.base import Sink


class NullSink(Sink):
    """Has nothing to add to `Sink`."""
