"""The producer's wall clock, as a consumer knows it: when to ask for it, and what to make of ages by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fanlight.common import clock
from fanlight.common.model import clock_offset
from fanlight.common.model.control import ClockReply
from fanlight.common.model.frame import FrameHeader

# In ticks (`report_every_s`). Where the clocks agree, as on one host, a question now and then is enough.
_FIRST_TICKS: Final = 5
_LATER_TICKS: Final = 5

# Half a round trip may be missing from the estimate of the other clock.
TOLERANCE_NS: Final = 200_000_000
_FIRST_INTERVAL_NS: Final = 100_000_000
# Frames may be late for another reason: an overloaded broker is not to be asked often.
_LONGEST_INTERVAL_NS: Final = 1_000_000_000
# A producer of another language may not know the question.
_UNANSWERED_NS: Final = 1_000_000_000


class ClockStepDetector:
    """Tells from the ages of frames that a wall clock was set: the time is to be asked for at once. Pure.

    A producer's clock that steps forward makes its frames come from the future; one that steps back, or a
    step forward of our own, makes all of them too old. Until the producer has been asked again their age
    is unknown, and what is not known to be fresh is not shown.

    `asks` and `answered` belong to the receiving thread; `believes` may be called by any. All `now_ns` are
    monotonic.
    """

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._since_ns: int | None = None
        self._asked_ns: int | None = None
        self._interval_ns = _FIRST_INTERVAL_NS
        self._ever_answered = False
        self._confirmed = False

    def asks(self, age_ns: int, now_ns: int) -> bool:
        """True if the time is to be asked for now, after a frame that seems to be so old."""
        if -TOLERANCE_NS <= age_ns <= self._max_age_ns:
            self._since_ns = None
            self._interval_ns = _FIRST_INTERVAL_NS
            return False
        if self._since_ns is None:
            self._since_ns, self._confirmed = now_ns, False
        if self._asked_ns is not None and now_ns - self._asked_ns < self._interval_ns:
            return False
        if self._asked_ns is not None and self._asked_ns >= self._since_ns:
            self._interval_ns = min(2 * self._interval_ns, _LONGEST_INTERVAL_NS)
        self._asked_ns = now_ns
        return True

    def answered(self, asked_ns: int) -> None:
        """The producer has answered the question that was sent then."""
        self._ever_answered = True
        if self._since_ns is not None and asked_ns >= self._since_ns:
            self._confirmed = True

    def believes(self, age_ns: int, now_ns: int) -> bool:
        """False for a frame from the future, as long as that can be the fault of a clock."""
        since_ns = self._since_ns
        if age_ns >= -TOLERANCE_NS:
            return True
        if since_ns is None:
            return False
        return self._confirmed or (not self._ever_answered and now_ns - since_ns > _UNANSWERED_NS)

    def restart(self) -> None:
        """Another producer: nothing is known of its clock."""
        self._since_ns = None
        self._interval_ns = _FIRST_INTERVAL_NS
        self._ever_answered = False


class ProducerClock:
    """Belongs to the receiving thread, but for `offset_ns`, `now_ns` and `believes`.

    Args:
        ask: sends a `ClockRequest`.
        monotonic_ns, wall_ns: this host's clocks.
    """

    def __init__(
        self,
        max_age_ns: int,
        ask: Callable[[], None],
        *,
        monotonic_ns: Callable[[], int] = clock.monotonic_ns,
        wall_ns: Callable[[], int] = clock.wall_ns,
    ) -> None:
        self.monotonic_ns, self.wall_ns = monotonic_ns, wall_ns
        self._offset = clock_offset.ClockOffset()
        self._steps = ClockStepDetector(max_age_ns)
        self._ask = ask
        self._epoch: int | None = None
        self._ticks = 0

    def offset_ns(self) -> int:
        """What to add to our monotonic time now to get the producer's wall clock."""
        base_ns = self._offset.base_ns
        return self.wall_ns() - self.monotonic_ns() if base_ns is None else base_ns

    def now_ns(self) -> int:
        """Now, by the producer's wall clock."""
        return self.monotonic_ns() + self.offset_ns()

    def believes(self, age_ns: int) -> bool:
        """False for a frame from the future, as long as that can be the fault of a clock."""
        return self._steps.believes(age_ns, self.monotonic_ns())

    def on_frame(self, header: FrameHeader) -> None:
        """A frame came; an impossible age may be due to a clock that was set."""
        if header.epoch != self._epoch:
            # Another producer, perhaps on another host: what was learnt of its clock is worth nothing.
            self._epoch = header.epoch
            self._ticks = 0
            self._offset.restart()
            self._steps.restart()
            self._ask()
        elif self._steps.asks(self.now_ns() - header.capture_ns, self.monotonic_ns()):
            self._ask()

    def on_reply(self, reply: ClockReply) -> None:
        now_ns = self.monotonic_ns()
        sample = clock_offset.sample(reply.asked_ns, reply.received_ns, reply.replied_ns, now_ns)
        if sample is not None:
            self._offset.observe(sample, wall_ns=self.wall_ns(), monotonic_ns=now_ns)
            self._steps.answered(reply.asked_ns)

    def on_tick(self) -> None:
        """The subscriber's tick: see `SubscriberEvents.on_tick`."""
        self._ticks += 1
        agrees = self._offset.base_ns is None
        if not agrees or self._ticks < _FIRST_TICKS or self._ticks % _LATER_TICKS == 0:
            self._ask()
