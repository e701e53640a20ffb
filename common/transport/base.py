"""What every fan-out design offers to the producer's pipeline and to the consumer."""

from __future__ import annotations

from typing import Final, Protocol

from fanlight.common.model.control import ClockReply, ControlMessage
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import EncodedFrame

_REPORT_S: Final = 1.0
_VIEWER_REPORT_S: Final = 2.0


def report_every_s(follow: bool) -> float:
    """How often a subscriber reports: a viewer of a hub, which does not follow the stream, less often.

    More often than a producer forgets a consumer; a hundred viewers of a host are not to wake for more.
    """
    return _REPORT_S if follow else _VIEWER_REPORT_S


class PublisherEvents:
    """Called in the publisher's threads: return at once. Override what is of use."""

    def on_control(self, message: ControlMessage) -> None:
        """A consumer asked for a keyframe, or sent its receiver report."""

    def on_keyframe_needed(self) -> None:
        """What was published last did not reach everybody: the next frame must stand alone."""

    def on_stale(self) -> None:
        """A frame was dropped before it could be sent: it grew too old, or the connection was lost."""

    def on_unsent(self, frames: int) -> None:
        """A client, too slow for them, did not get so many frames. Without a broker only."""

    def on_refused(self) -> None:
        """A connection was refused, or ended since it broke the contract. Without a broker only."""

    def on_connected(self) -> None:
        """There is a connection to publish on; without a broker: consumers can come."""

    def on_disconnected(self) -> None:
        """It is lost, and being restored."""

    def on_blocked(self, blocked: bool) -> None:
        """The broker takes nothing, being short of memory or disk, or does again. With a broker only."""


class Publisher(Protocol):
    """Sends the frames of one stream to everybody who watches. Never makes its caller wait for them."""

    @property
    def failure(self) -> FanlightError | None:
        """Why it gave up for good; None while it works or tries again."""
        ...

    @property
    def watched(self) -> bool:
        """True if anybody receives the stream, as far as is known."""
        ...

    def start(self) -> None:
        """Start connecting. Returns at once."""
        ...

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until `publish` will take a frame: connected, not blocked, watched, the last one sent.

        Returns at once, with False, after `stop` or a failure.
        """
        ...

    def publish(self, frame: EncodedFrame) -> None:
        """Hand over one frame; at most one waits to be sent."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Send what is pending, if that can be done in time, and end. Safe to call twice."""
        ...


class SubscriberEvents:
    """Called in the subscriber's thread: return at once. Override what is of use."""

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> None:
        """A frame arrived (`received_ns`: Unix time). The next one is read when this returns."""

    def on_malformed(self, error: WireFormatError) -> None:
        """A message arrived that is not a frame of this contract."""

    def on_connected(self) -> None:
        """The subscription stands: frames will come."""

    def on_following(self) -> None:
        """The stream itself is received from now on, after `follow_stream`."""

    def on_disconnected(self) -> None:
        """The subscription is lost; it is being restored."""

    def on_blocked(self, blocked: bool) -> None:
        """The broker takes nothing, being short of memory or disk, or does again. With a broker only."""

    def on_clock(self, reply: ClockReply) -> None:
        """The producer answered a `ClockRequest`."""

    def on_tick(self) -> None:
        """Time to report, under a standing subscription; see `report_every_s`."""

    def on_failed(self, error: FanlightError) -> None:
        """The subscription cannot be had; no further attempt is made."""


class Subscriber(Protocol):
    """Receives the frames of one stream, through loss and return of the connection."""

    @property
    def waiting(self) -> int | None:
        """How many messages waited at the broker when it was asked last; None where that is not known."""
        ...

    def count_waiting(self) -> None:
        """Ask the broker for that, once a second from now on. To be called before `start`."""
        ...

    def follow_stream(self, follow: bool) -> None:
        """Receive the stream, or leave it while a hub of this host serves. Thread-safe.

        Without the stream the subscription still stands: the queue exists, reports and clock requests flow.
        """
        ...

    def start(self) -> None:
        """Start connecting. Returns at once."""
        ...

    def send(self, message: ControlMessage) -> None:
        """Send something to the producer; dropped while there is no connection. Thread-safe."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Unsubscribe and end. Safe to call twice."""
        ...
