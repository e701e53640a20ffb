"""Is there a producer of the stream, and what does its clock say? Asked as any consumer asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from common import clocksync, fanout
from common.access import Access
from common.clock import monotonic_ns, wall_ns
from common.clocksync import ClockSample
from common.control import ClockReply, ClockRequest
from common.doctor.finding import Check, Finding, note, ok, problem
from common.errors import FanlightError, WireFormatError
from common.fanout import Subscriber, SubscriberEvents
from common.frame import EncodedFrame

_CONNECT_S: Final = 3.0
_ANSWER_S: Final = 2.0
_QUESTIONS: Final = 5
_LIMIT_S: Final = _CONNECT_S + _ANSWER_S + 2.0
_STOP_S: Final = 1.0
# From here on a consumer's view of a frame's age rests on the answers alone.
_NOTABLE_NS: Final = 10_000_000


Subscribe = Callable[[SubscriberEvents], Subscriber]


def producer_check(
    url: str, access: Access, *, stream: str, max_age_s: float, needs_producer: bool
) -> Check:
    """Ask the producer of a stream for the time.

    Args:
        needs_producer: True if nobody there is a problem, as without a broker for a consumer.
    """

    def subscribe(events: SubscriberEvents) -> Subscriber:
        # It does not follow the stream: an idle producer sleeps on.
        return fanout.subscriber(
            url, access, stream=stream, name="doctor", max_age_s=max_age_s, events=events, follow=False
        )

    return Check("producer", _LIMIT_S, lambda: _look(subscribe, stream, needs_producer))


def _look(subscribe: Subscribe, stream: str, needs_producer: bool) -> Iterator[Finding]:
    asking = _Asking(stream)
    subscriber = subscribe(asking)
    asking.subscriber = subscriber
    subscriber.start()
    try:
        best = asking.best()
    finally:
        subscriber.stop(_STOP_S)
    if asking.failure is not None:
        advice = "asking takes the rights of a consumer: python -m consumer --doctor, as another user"
        yield note("producer", f"cannot be asked: {asking.failure}", advice)
    elif not asking.connected.is_set():
        judge = problem if needs_producer else note
        yield judge("producer", "cannot be asked: nobody answers there", "start it, or look at --url")
    elif best is None:
        yield note(
            "producer",
            f"stream {stream}: no producer answers, so that its clock is not known",
            "start one, or look at --stream",
        )
    else:
        yield _clock(stream, best)


def _clock(stream: str, best: ClockSample) -> Finding:
    offset_ns = best.base_ns - (wall_ns() - monotonic_ns())
    said = (
        f"stream {stream}: its clock is {offset_ns / 1e6:+.1f} ms from ours, "
        f"to within {best.error_ns / 1e6:.1f} ms"
    )
    if abs(offset_ns) > best.error_ns + _NOTABLE_NS:
        return note("producer", said, "consumers allow for it; still, let both follow NTP (chrony)")
    return ok("producer", said)


class _Asking:
    """What the subscriber tells: of use is only the answers."""

    def __init__(self, stream: str) -> None:
        self.subscriber: Subscriber | None = None
        self.connected = threading.Event()
        self.failure: FanlightError | None = None
        self._stream = stream
        self._answered = threading.Condition()
        self._samples: list[ClockSample] = []

    def best(self) -> ClockSample | None:
        """The quickest of a few exchanges; None if nobody answers."""
        if not self.connected.wait(_CONNECT_S):
            return None
        end_s = time.monotonic() + _ANSWER_S
        with self._answered:
            for count in range(1, _QUESTIONS + 1):
                self._ask()
                while len(self._samples) < count and (left_s := end_s - time.monotonic()) > 0:
                    self._answered.wait(min(left_s, 0.5))
                    if len(self._samples) < count:
                        self._ask()
        return min(self._samples, key=lambda sample: sample.error_ns, default=None)

    def _ask(self) -> None:
        if self.subscriber is not None:
            request = ClockRequest(stream=self._stream, name="doctor", asked_ns=monotonic_ns())
            self.subscriber.send(request)

    def on_clock(self, reply: ClockReply) -> None:
        sample = clocksync.sample(reply.asked_ns, reply.received_ns, reply.replied_ns, monotonic_ns())
        if sample is not None:
            with self._answered:
                self._samples.append(sample)
                self._answered.notify_all()

    def on_connected(self) -> None:
        self.connected.set()

    def on_failed(self, error: FanlightError) -> None:
        self.failure = error
        self.connected.set()

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> None:
        """None was asked for."""

    def on_malformed(self, error: WireFormatError) -> None:
        """Likewise."""

    def on_following(self) -> None:
        """Likewise."""

    def on_disconnected(self) -> None:
        """It connects again by itself."""

    def on_blocked(self, blocked: bool) -> None:
        """The check of the broker says so."""

    def on_tick(self) -> None:
        """There is nothing to report."""
