"""The producer's wall clock, as a consumer knows it: asks for it, and judges ages by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.model import clock_offset
from fanlight.common.model.control import ClockReply
from fanlight.common.model.frame import FrameHeader
from fanlight.consumer.clock_step import ClockDoubt

# In ticks (`report_every_s`). Where the clocks agree, as on one host, a question now and then is enough.
_FIRST_TICKS: Final = 5
_LATER_TICKS: Final = 5


class ProducerClock:
    """Belongs to the receiving thread, but for `offset_ns`, `now_ns` and `believes`.

    Args:
        ask: sends a `ClockRequest`.
    """

    def __init__(self, max_age_ns: int, ask: Callable[[], None]) -> None:
        self._sync = clock_offset.ClockOffset()
        self._doubt = ClockDoubt(max_age_ns)
        self._ask = ask
        self._epoch: int | None = None
        self._ticks = 0

    def offset_ns(self) -> int:
        """What to add to our monotonic time now to get the producer's wall clock."""
        base_ns = self._sync.base_ns
        return wall_ns() - monotonic_ns() if base_ns is None else base_ns

    def now_ns(self) -> int:
        """Now, by the producer's wall clock."""
        return monotonic_ns() + self.offset_ns()

    def believes(self, age_ns: int) -> bool:
        """False for a frame from the future, as long as that can be the fault of a clock."""
        return self._doubt.believes(age_ns, monotonic_ns())

    def on_frame(self, header: FrameHeader) -> None:
        """A frame came; what is odd about its age may be a clock that was set."""
        if header.epoch != self._epoch:
            # Another producer, perhaps on another host: what was learnt of its clock is worth nothing.
            self._epoch = header.epoch
            self._ticks = 0
            self._sync.restart()
            self._doubt.restart()
            self._ask()
        elif self._doubt.asks(self.now_ns() - header.capture_ns, monotonic_ns()):
            self._ask()

    def on_reply(self, reply: ClockReply) -> None:
        now_ns = monotonic_ns()
        sample = clock_offset.sample(reply.asked_ns, reply.received_ns, reply.replied_ns, now_ns)
        if sample is not None:
            self._sync.observe(sample, wall_ns=wall_ns(), monotonic_ns=now_ns)
            self._doubt.answered(reply.asked_ns)

    def on_tick(self) -> None:
        """The subscriber's tick: see `SubscriberEvents.on_tick`."""
        self._ticks += 1
        agrees = self._sync.base_ns is None
        if not agrees or self._ticks < _FIRST_TICKS or self._ticks % _LATER_TICKS == 0:
            self._ask()
