"""The interface of all sinks, and the context that they are opened with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.result import Result
from fanlight.consumer.stats import ConsumerStats, TraceRow

if TYPE_CHECKING:
    from fanlight.consumer.frame import Frame
    from fanlight.consumer.settings import ConsumerSettings


class StreamAccess(Protocol):
    """What a sink that passes frames on needs besides them. Thread-safe."""

    def request_key(self) -> None:
        """Ask the producer for a keyframe."""
        ...

    def ended_in_order(self) -> bool:
        """Whether the stream has ended in good order, and its last frame was presented."""
        ...

    def age_ns(self, capture_ns: int) -> int | None:
        """The age of a frame captured then; None while it is not known, as after a step of a clock."""
        ...


@dataclass(frozen=True, slots=True)
class SinkContext:
    """The settings and statistics of the consumer that a sink belongs to.

    Attributes:
        stream_access: of its stream; None for a sink that is not part of a consumer.
    """

    settings: ConsumerSettings
    stats: Callable[[], ConsumerStats]
    stream_access: StreamAccess | None = None

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def stream(self) -> str:
        return self.settings.stream


class Sink:
    """Base class of sinks; all methods do nothing.

    `present`, `tick`, `trace` and `close` are called on the presenting thread, `receive` on the receiving
    thread, which must not block. Any method may raise `SinkError`, which ends the consumer.
    """

    def present(self, frame: Frame) -> None:
        """Show one frame."""

    def receive(self, frame: EncodedFrame) -> None:
        """Process one encoded frame: every decodable one, in order, presented or not."""

    def result(self, result: Result) -> None:
        """Process what a detector found, on the thread that receives it: it must not block."""

    def trace(self, row: TraceRow) -> None:
        """Process the outcome of one frame, about half a second later."""

    def tick(self) -> bool:
        """Called at least ten times a second, with or without frames. False ends the consumer normally."""
        return True

    def close(self) -> None:
        """Write pending data and release all resources."""
