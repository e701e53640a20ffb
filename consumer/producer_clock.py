"""Estimates the producer's wall clock: when to request its time, and which ages are plausible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from fanlight.common import clock
from fanlight.common.model import clock_offset
from fanlight.common.model.control import ClockReply

# In ticks (`report_every_s`). Where the clocks agree, as on one host, few requests are enough.
_FIRST_TICKS: Final = 5
_LATER_TICKS: Final = 5

# The error of an estimate is up to half a round trip.
TOLERANCE_NS: Final = 200_000_000
_FIRST_INTERVAL_NS: Final = 100_000_000
# Frames may be late for another reason, such as an overloaded broker: the requests back off.
_LONGEST_INTERVAL_NS: Final = 1_000_000_000
# After so long without a request, the next one is sent at once.
_CALM_NS: Final = 10_000_000_000
# Other implementations of a producer may not support clock requests.
_NO_REPLY_NS: Final = 1_000_000_000


class ClockStepDetector:
    """Detects from the ages of frames that a wall clock was set. Pure.

    If the producer's clock steps forward, its frames come from the future; if it steps back, or this host's
    clock steps forward, all frames are too old. Their age is unknown until the next clock reply, and frames
    of unknown age are not presented.

    `should_request` and `on_reply` belong to the receiving thread; `plausible` is thread-safe. All `now_ns`
    are monotonic.
    """

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._since_ns: int | None = None
        self._requested_ns: int | None = None
        self._interval_ns = _FIRST_INTERVAL_NS
        self._ever_replied = False
        self._confirmed = False

    def should_request(self, age_ns: int, now_ns: int) -> bool:
        """Whether to request the time now, after a frame of this apparent age."""
        if -TOLERANCE_NS <= age_ns <= self._max_age_ns:
            self._since_ns = None
            self._interval_ns = _FIRST_INTERVAL_NS
            return False
        if self._since_ns is None:
            self._since_ns, self._confirmed = now_ns, False
        if self._requested_ns is not None and now_ns - self._requested_ns < self._interval_ns:
            return False
        if self._requested_ns is not None and self._requested_ns >= self._since_ns:
            self._interval_ns = min(2 * self._interval_ns, _LONGEST_INTERVAL_NS)
        self._requested_ns = now_ns
        return True

    def on_reply(self, asked_ns: int) -> None:
        """A reply arrived to the request sent at `asked_ns`."""
        self._ever_replied = True
        if self._since_ns is not None and asked_ns >= self._since_ns:
            self._confirmed = True

    def plausible(self, age_ns: int, now_ns: int) -> bool:
        """False for a frame from the future, while a clock step may be the cause."""
        since_ns = self._since_ns
        if age_ns >= -TOLERANCE_NS:
            return True
        if since_ns is None:
            return False
        return self._confirmed or (not self._ever_replied and now_ns - since_ns > _NO_REPLY_NS)

    def restart(self) -> None:
        """Forget everything: there is another producer."""
        self._since_ns = None
        self._interval_ns = _FIRST_INTERVAL_NS
        self._ever_replied = False


class Stamped(Protocol):
    """A frame's header, or what was found in the frame."""

    @property
    def epoch(self) -> int: ...

    @property
    def capture_ns(self) -> int: ...


class ProducerClock:
    """Belongs to the receiving thread, except `offset_ns`, `now_ns`, `plausible` and `age_ns`: thread-safe.

    Args:
        request: sends a `ClockRequest`.
        monotonic_ns, wall_ns: this host's clocks.
    """

    def __init__(
        self,
        max_age_ns: int,
        request: Callable[[], None],
        *,
        monotonic_ns: Callable[[], int] = clock.monotonic_ns,
        wall_ns: Callable[[], int] = clock.wall_ns,
    ) -> None:
        self.monotonic_ns, self.wall_ns = monotonic_ns, wall_ns
        self._offset = clock_offset.ClockOffset()
        self._steps = ClockStepDetector(max_age_ns)
        self._request = request
        self._epoch: int | None = None
        self._ticks = 0
        # After a change of epoch a request is due, unless there was one just before: then it is sent later.
        self._due = False
        self._pause_ns = 0
        self._requested_ns: int | None = None

    def offset_ns(self) -> int:
        """Offset of the producer's wall clock from this host's monotonic clock."""
        base_ns = self._offset.base_ns
        return self.wall_ns() - self.monotonic_ns() if base_ns is None else base_ns

    def now_ns(self) -> int:
        """The current time of the producer's wall clock."""
        return self.monotonic_ns() + self.offset_ns()

    def plausible(self, age_ns: int) -> bool:
        """False for a frame from the future, while a clock step may be the cause."""
        return self._steps.plausible(age_ns, self.monotonic_ns())

    def age_ns(self, capture_ns: int) -> int | None:
        """The age of what was captured then; None while it is not known, as after a clock step."""
        age_ns = self.now_ns() - capture_ns
        return age_ns if self.plausible(age_ns) else None

    def on_frame(self, header: Stamped) -> None:
        """A frame arrived; an impossible age may be due to a clock step."""
        if header.epoch != self._epoch:
            # Another producer, perhaps on another host: its clock is unknown.
            self._epoch = header.epoch
            self._ticks = 0
            self._offset.restart()
            self._steps.restart()
            self._due = True
        now_ns = self.monotonic_ns()
        if self._steps.should_request(self.now_ns() - header.capture_ns, now_ns):
            self._due = True
        if self._due:
            self._request_limited(now_ns)

    def _request_limited(self, now_ns: int) -> None:
        """Send a request, soon after the last one a little later: epochs may change with every frame."""
        passed_ns = _CALM_NS if self._requested_ns is None else now_ns - self._requested_ns
        if passed_ns < self._pause_ns:
            return
        longer_ns = min(max(_FIRST_INTERVAL_NS, 2 * self._pause_ns), _LONGEST_INTERVAL_NS)
        self._pause_ns = 0 if passed_ns >= _CALM_NS else longer_ns
        self._requested_ns, self._due = now_ns, False
        self._request()

    def on_reply(self, reply: ClockReply) -> None:
        now_ns = self.monotonic_ns()
        sample = clock_offset.sample(reply.asked_ns, reply.received_ns, reply.replied_ns, now_ns)
        if sample is not None:
            self._offset.observe(sample, wall_ns=self.wall_ns(), monotonic_ns=now_ns)
            self._steps.on_reply(reply.asked_ns)

    def on_tick(self, *, ask: bool = False) -> None:
        """The subscriber's tick: see `SubscriberEvents.on_tick`. `ask`: a reply is needed in any case."""
        self._ticks += 1
        agrees = self._offset.base_ns is None
        if ask or not agrees or self._ticks < _FIRST_TICKS or self._ticks % _LATER_TICKS == 0:
            self._request()
