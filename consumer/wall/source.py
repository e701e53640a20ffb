"""Where the frames of one stream come from: a subscription of its own, while somebody watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fanlight.common import clock, transport
from fanlight.common.model.control import ControlMessage, Reason
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import EncodedFrame
from fanlight.consumer.playout import ReceivedFrame
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats, Outcome, Presented
from fanlight.consumer.wall.settings import WallSettings

_STOP_S = 1.0

OnFrame = Callable[[EncodedFrame, int], None]
"""Called with each decodable frame, in order, and its capture time by this machine's Unix clock (ns)."""


class Source(Protocol):
    """Frames of one stream. `stop` may wait for a second; all else returns at once. Thread-safe."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def request_key(self) -> None:
        """Ask the producer for a keyframe."""
        ...

    def why_none(self) -> str:
        """Why no frames come, as far as is known."""
        ...


def why_none(stats: ConsumerStats) -> str:
    """Why no frames come, by what a consumer counts."""
    return stats.no_frame if stats.connected else "not connected"


class Subscription:
    """One subscription: `Receiver` decides which frames are good, as in every consumer.

    Args:
        on_frame, on_failed: called on the subscriber's thread.
    """

    def __init__(
        self,
        stream: str,
        settings: WallSettings,
        on_frame: OnFrame,
        on_failed: Callable[[FanlightError], None],
    ) -> None:
        consumer = ConsumerSettings(
            stream=stream,
            name=settings.name,
            url=settings.url,
            credentials=settings.credentials,
            max_pixels=settings.max_pixels,
            max_age_s=settings.max_age_s,
        )
        self.closed = False
        self._on_frame = on_frame
        self._counters = ConsumerCounters()
        self._clock = ProducerClock(int(settings.max_age_s * 1e9), self._request_time)
        self._receiver = Receiver(
            consumer,
            send=self._send,
            clock=self._clock,
            mailbox=self,
            counters=self._counters,
            on_failed=on_failed,
        )
        self._subscriber = transport.subscriber(
            consumer.url,
            consumer.credentials,
            stream=stream,
            name=consumer.name,
            max_age_s=consumer.max_age_s,
            events=self._receiver,
            limits=consumer.limits,
        )

    def start(self) -> None:
        self._subscriber.start()

    def stop(self) -> None:
        self.closed = True
        self._subscriber.stop(_STOP_S)

    def request_key(self) -> None:
        self._receiver.request_key(Reason.GAP)

    def why_none(self) -> str:
        return why_none(self._counters.stats(clock.monotonic_ns()))

    def push(self, frame: ReceivedFrame) -> bool:
        """See `consumer.receiver.Received`: passes every frame on whose age is known."""
        header, received_ns = frame.header, frame.received_ns
        age_ns = self._clock.age_ns(header.capture_ns)
        if age_ns is None:
            self._counters.dropped(header, received_ns, Outcome.LATE)
            return False
        wall_ns, now_ns = clock.wall_ns(), clock.monotonic_ns()
        self._counters.presented.append(
            Presented(header, received_ns, wall_ns, age_ns, None, now_ns, shared=False)
        )
        if not self.closed:
            self._on_frame(frame.frame, wall_ns - age_ns)
        return True

    def _send(self, message: ControlMessage) -> None:
        self._subscriber.send(message)

    def _request_time(self) -> None:
        self._receiver.request_time()
