"""The interfaces of publishers and subscribers, common to all transports."""

from __future__ import annotations

from typing import Final, Protocol

from fanlight.common.model.announcement import Announcement
from fanlight.common.model.bye import Bye
from fanlight.common.model.control import ClockReply, ControlMessage
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import EncodedFrame

_REPORT_S: Final = 1.0
_VIEWER_REPORT_S: Final = 2.0

DIRECTORY_CHECK_S: Final = 0.5
"""Interval of checks whether listed streams are still announced. Without a broker only."""

MAX_CLIENTS: Final = 128
"""Default limit of clients of a producer without a broker: more of them cost the others frames."""


def report_every_s(follow: bool) -> float:
    """Interval of receiver reports: longer for viewers of a hub, which do not follow the stream.

    Shorter than the time after which a producer discards a consumer, and otherwise as long as possible,
    since every viewer of a host wakes for its report.
    """
    return _REPORT_S if follow else _VIEWER_REPORT_S


class PublisherEvents:
    """Callbacks in the publisher's threads, which must return at once. Override those of interest."""

    def on_control(self, message: ControlMessage) -> None:
        """A keyframe request or a receiver report arrived."""

    def on_keyframe_needed(self) -> None:
        """The last frame did not reach all consumers: the next one must be a keyframe."""

    def on_stale(self) -> None:
        """A frame was dropped before it was sent: it became too old, or the connection was lost."""

    def on_unsent(self, frames: int) -> None:
        """This many frames were not sent to a client that is too slow, or to pools."""

    def on_refused(self) -> None:
        """A connection was refused, or closed because of a protocol violation. Without a broker only."""

    def on_connected(self) -> None:
        """Frames can be published; without a broker: the producer listens."""

    def on_disconnected(self) -> None:
        """The connection was lost and is being restored."""

    def on_blocked(self, blocked: bool) -> None:
        """The broker takes nothing, being short of memory or disk, or does again. With a broker only."""

    def announcement(self) -> Announcement | None:
        """What is announced now, every 2 s and when it has changed; None to announce nothing."""
        return None


class IntraPublisher(Protocol):
    """Sends pictures that stand alone, of a stream whose frames do not, to pools; `Publisher.branch`."""

    @property
    def watched(self) -> bool:
        """True if a pool has members, as far as is known."""
        ...

    @property
    def alone(self) -> bool:
        """True if `watched`, and nobody receives the stream itself."""
        ...

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until `publish` accepts a frame."""
        ...

    def publish(self, frame: EncodedFrame) -> None:
        """Queue one frame; at most one waits to be sent."""
        ...


class Publisher(Protocol):
    """Sends the frames of one stream to all consumers. `publish` never waits for them."""

    @property
    def branch(self) -> IntraPublisher | None:
        """For pools; None if the frames stand alone, so that pools take them, and without a broker."""
        ...

    @property
    def failure(self) -> FanlightError | None:
        """The error because of which no further attempt is made; None while it works or retries."""
        ...

    @property
    def watched(self) -> bool:
        """True if at least one consumer, or pool, receives the stream, as far as is known."""
        ...

    def start(self) -> None:
        """Start connecting. Returns at once."""
        ...

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until `publish` accepts a frame: connected, not blocked, watched, the last one sent.

        Returns at once, with False, after `stop` or a failure.
        """
        ...

    def publish(self, frame: EncodedFrame) -> None:
        """Queue one frame; at most one waits to be sent."""
        ...

    def stop(self, timeout_s: float, bye: Bye | None = None) -> None:
        """Send the pending frame if that is possible in time, and end. Safe to call twice.

        Args:
            bye: to be sent after the last frame; None if this is no end in good order.
        """
        ...


class SubscriberEvents:
    """Callbacks in the subscriber's thread, which must return at once. Override those of interest."""

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> bool | None:
        """A frame arrived (`received_ns`: Unix time). The next one is read when this returns.

        Returns False if it is dropped: then a member of a pool gets another one at once.
        """
        return None

    def on_malformed(self, error: WireFormatError) -> None:
        """A message arrived that breaks the wire contract."""

    def on_ended(self, bye: Bye) -> None:
        """A producer of the stream has ended in good order. Its last frame came before this."""

    def on_connected(self) -> None:
        """The subscription is established."""

    def on_following(self) -> None:
        """Frames are received again after `follow_stream(True)`."""

    def on_disconnected(self) -> None:
        """The subscription was lost and is being restored."""

    def on_blocked(self, blocked: bool) -> None:
        """The broker takes nothing, being short of memory or disk, or does again. With a broker only."""

    def on_clock(self, reply: ClockReply) -> None:
        """The reply to a `ClockRequest` arrived."""

    def on_announcement(self, announcement: Announcement) -> None:
        """The producer has described its stream. Without a broker, and where it was asked for."""

    def on_tick(self) -> None:
        """A receiver report is due; see `report_every_s`. Called while the subscription is established."""

    def on_failed(self, error: FanlightError) -> None:
        """The subscription is impossible; no further attempt is made."""


class Subscriber(Protocol):
    """Receives the frames of one stream and reconnects after a loss."""

    @property
    def waiting(self) -> int | None:
        """Messages that waited in the broker's queue at the last query; None if unknown."""
        ...

    def count_waiting(self) -> None:
        """Query `waiting` once a second. To be called before `start`."""
        ...

    def follow_stream(self, follow: bool) -> None:
        """Receive frames, or none while a hub of this host serves. Thread-safe.

        The subscription stays established in both cases, with its queue, reports and clock requests.
        """
        ...

    def start(self) -> None:
        """Start connecting. Returns at once."""
        ...

    def send(self, message: ControlMessage) -> None:
        """Send a message to the producer; it is dropped while there is no connection. Thread-safe."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Unsubscribe and end. Safe to call twice."""
        ...


class PoolSubscriber(Subscriber, Protocol):
    """A member of a pool: each frame goes to one member that has asked for it."""

    @property
    def asking(self) -> bool:
        """Whether it waits for a frame."""
        ...

    def ask(self) -> None:
        """The program has finished with the last frame, if any, and waits for the next one. Thread-safe."""
        ...

    def leave(self) -> None:
        """The program has finished with the last frame, and takes no other. Thread-safe."""
        ...


class DirectorySubscriber(Protocol):
    """Receives what producers announce, and keeps the list of live streams.

    `on_change` is called in its own thread whenever the list has changed, and once when it is complete,
    even if it is empty. It must return at once.
    """

    @property
    def complete(self) -> bool:
        """Whether every stream is listed that announces itself: 2.5 s after it has connected."""
        ...

    @property
    def refused(self) -> int:
        """Announcements that break the wire contract, or were one stream too many."""
        ...

    def start(self) -> None:
        """Start connecting. Returns at once. Reconnects after a loss."""
        ...

    def stop(self, timeout_s: float) -> None:
        """End. Safe to call twice."""
        ...


class ResultsPublisher(Protocol):
    """Sends a detector's results. `publish` never waits; what cannot be sent at once is dropped.

    Attributes:
        failure: the error because of which no further attempt is made; None while it works or retries.
        sent: results passed to the broker that had a listener, as far as is known.
        unsent: dropped, as there was no connection or it was too slow.
        unheard: dropped, as nobody listened.
    """

    failure: FanlightError | None
    sent: int
    unheard: int

    @property
    def unsent(self) -> int: ...

    def start(self) -> None:
        """Start connecting. Returns at once."""
        ...

    def publish(self, body: bytes) -> None:
        """Send one result, as of `Result.to_json`. Thread-safe."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Send what is pending if that is possible in time, and end. Safe to call twice."""
        ...


class ResultsSubscriber(Protocol):
    """Receives what detectors publish about one stream, and reconnects after a loss.

    Attributes:
        refused: messages that broke the wire contract, or were not of a trusted user.
        excess: messages that were not read: more of them came than are read in a second.
    """

    refused: int
    excess: int

    def start(self) -> None:
        """Start connecting. Returns at once."""
        ...

    def close(self) -> None:
        """Begin to end; `stop` waits for it."""
        ...

    def stop(self, timeout_s: float) -> None:
        """End. Safe to call twice."""
        ...
