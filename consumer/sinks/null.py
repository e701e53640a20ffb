"""`null`: decodes and discards. For benchmarks, and for `--work`."""

from __future__ import annotations

from fanlight.consumer.sinks.base import Sink


class NullSink(Sink):
    """Adds nothing to `Sink`."""
