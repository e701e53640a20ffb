"""What becomes of every frame: counted once, and told to whoever keeps a trace."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.frame import FrameHeader
from fanlight.consumer.stats import ConsumerStats, Details, Event, Meters, Outcome


class Shown(NamedTuple):
    """A frame that was presented.

    Attributes:
        age_ns: at that time, by the producer's clock.
        skew_ns: distance from its playout time; None without `sync`.
        now_ns: monotonic.
        shared: whether it came from a hub: then its arrival is counted with it.
    """

    header: FrameHeader
    received_ns: int
    presented_ns: int
    age_ns: int
    skew_ns: int | None
    now_ns: int
    shared: bool


# Two seconds of 30 fps.
MOST_NOTED: Final = 60


class Account:
    """Thread-safe: the receiving thread and the presenting one both count.

    Presented frames are only noted down, and counted several at a time: a hundred viewers that each count
    a frame while the others wait for the processor would show it later, and counting costs a third then.

    Attributes:
        on_outcome: told the fate of every frame that arrived; by any thread, must not wait. To be set
            before frames come; None for nobody.
        lost: frames of the stream that never arrived so far.
        shown: presented frames that are not counted yet; appended to by the presenting thread.
    """

    def __init__(self) -> None:
        self.meters = Meters()
        self.on_outcome: Callable[[Outcome], None] | None = None
        self.lost = 0
        self.shown: deque[Shown] = deque()
        self._settling = threading.Lock()

    def arrived(self, header: FrameHeader, size_bytes: int, received_ns: int) -> None:
        """A frame came."""
        self.meters.arrived(header, size_bytes, received_ns)

    def missed(self, frames: int) -> None:
        """So many frames of the stream never came."""
        self.lost += frames
        self.meters.lost(frames)

    def dropped(self, header: FrameHeader, received_ns: int, event: Event) -> None:
        """A frame that arrived is not shown."""
        self.settle()
        self.meters.ended(event)
        self._tell(Outcome(header.seq, header.capture_ns, received_ns, None, event))

    def duplicate(self, header: FrameHeader, received_ns: int) -> None:
        """A frame came again, out of order, or from a second producer."""
        self.meters.repeated()
        self._tell(Outcome(header.seq, header.capture_ns, received_ns, None, Event.SUPERSEDED))

    def settle(self) -> None:
        """Count what is noted down in `shown`."""
        with self._settling:
            while self.shown:
                shown = self.shown.popleft()
                header = shown.header
                if shown.shared:
                    self.meters.arrived(header, 0, shown.received_ns)  # no bytes: nothing crossed a line
                self.meters.presented(
                    age_s=shown.age_ns / 1e9,
                    skew_s=None if shown.skew_ns is None else shown.skew_ns / 1e9,
                    now_ns=shown.now_ns,
                    shared=shown.shared,
                )
                self._tell(
                    Outcome(
                        header.seq,
                        header.capture_ns,
                        shown.received_ns,
                        shown.presented_ns,
                        Event.PRESENTED,
                    )
                )

    def stats(self) -> ConsumerStats:
        """The figures as they stand."""
        self.settle()
        return self.meters.snapshot(monotonic_ns())

    def details(self) -> Details:
        """Everything that is counted, as it stands."""
        self.settle()
        return self.meters.details(monotonic_ns())

    def _tell(self, outcome: Outcome) -> None:
        if self.on_outcome is not None:
            self.on_outcome(outcome)
