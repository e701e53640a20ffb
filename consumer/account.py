"""What becomes of every frame: counted once, and told to whoever keeps a trace."""

from __future__ import annotations

from collections.abc import Callable

from common.clock import monotonic_ns
from common.frame import FrameHeader
from consumer.stats import Event, Meters, Outcome


class Account:
    """Thread-safe: the receiving thread and the presenting one both count.

    Args:
        on_outcome: told the fate of every frame that arrived; from either thread, must not wait.
    """

    def __init__(self, on_outcome: Callable[[Outcome], None]) -> None:
        self.meters = Meters()
        self._on_outcome = on_outcome
        self._lost = 0

    @property
    def lost(self) -> int:
        """Frames of the stream that never arrived so far."""
        return self._lost

    def arrived(self, header: FrameHeader, size_bytes: int, received_ns: int, lost: int) -> None:
        """A frame came, after `lost` that never did."""
        self.meters.arrived(
            epoch=header.epoch,
            seq=header.seq,
            size_bytes=size_bytes,
            capture_ns=header.capture_ns,
            received_ns=received_ns,
        )
        if lost:
            self._lost += lost
            self.meters.lost(lost)

    def dropped(self, header: FrameHeader, received_ns: int, event: Event) -> None:
        """A frame that arrived is not shown."""
        self.meters.ended(event)
        self._on_outcome(Outcome(header.seq, header.capture_ns, received_ns, None, event))

    def overtaken(self, frames: int) -> None:
        """So many were overwritten in a hub's memory before they could be looked at."""
        self.meters.overtaken(frames)

    def duplicate(self, header: FrameHeader, received_ns: int) -> None:
        """A frame came again, out of order, or from a second producer."""
        self.meters.repeated()
        self._on_outcome(Outcome(header.seq, header.capture_ns, received_ns, None, Event.SUPERSEDED))

    def presented(
        self,
        header: FrameHeader,
        received_ns: int,
        presented_ns: int,
        *,
        age_ns: int,
        skew_ns: int | None,
        shared: bool,
    ) -> None:
        """A frame is handed to the program, or to the sinks."""
        self.meters.presented(
            age_s=age_ns / 1e9,
            skew_s=None if skew_ns is None else skew_ns / 1e9,
            now_ns=monotonic_ns(),
            shared=shared,
        )
        self._on_outcome(Outcome(header.seq, header.capture_ns, received_ns, presented_ns, Event.PRESENTED))
