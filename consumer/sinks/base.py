"""The interface of all sinks, and what they know of their consumer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fanlight.common.model.frame import EncodedFrame
from fanlight.consumer.stats import ConsumerStats, TraceRow

if TYPE_CHECKING:
    from fanlight.consumer.frame import Frame
    from fanlight.consumer.settings import ConsumerSettings


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may know about the consumer that it serves."""

    settings: ConsumerSettings
    stats: Callable[[], ConsumerStats]

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def stream(self) -> str:
        return self.settings.stream


class Sink:
    """Somewhere for frames to go. Does nothing with them: override what you need.

    `present`, `tick`, `trace` and `close` are called by one thread, the one that presents;
    `receive` by the receiving thread, which must never wait.

    Any method may raise `SinkError`; the consumer then ends with that line.
    """

    def present(self, frame: Frame) -> None:
        """Show one frame."""

    def receive(self, frame: EncodedFrame) -> None:
        """Take one encoded frame: every one that can be decoded, in order, shown or not."""

    def trace(self, row: TraceRow) -> None:
        """Note what became of one frame, about half a second later."""

    def tick(self) -> bool:
        """Called at least ten times a second, frames or not. False ends the consumer in good order."""
        return True

    def close(self) -> None:
        """Write out what is pending and release everything."""
