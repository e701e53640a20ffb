"""A hub's way to the consumers of its host where there is no broker: a Unix socket beside the pictures."""

from __future__ import annotations

from typing import Final

from common.control import ControlMessage
from common.fanout.multiplex.publisher import MultiplexPublisher
from common.fanout.tcp.places import local_place, reclaim
from common.frame import EncodedFrame

# References are worth nothing once their pictures are gone; the consumer's own limit does the rest.
_MAX_AGE_S: Final = 0.5


class LocalSharing:
    """See `common.fanout.base.Sharing`.

    Of several hubs one publishes, and it alone listens: it opens the socket with its first reference.
    """

    def __init__(self, *, stream: str, share: str) -> None:
        self._stream = stream
        self._place = local_place(stream, share)
        self._publisher: MultiplexPublisher | None = None

    @property
    def ready(self) -> bool:
        return self._publisher is None or self._publisher.failure is None

    def start(self) -> None:
        """Nothing to connect to; tidies up."""
        reclaim()

    def publish(self, frame: EncodedFrame) -> None:
        if self._publisher is None:
            self._publisher = MultiplexPublisher(
                self._place, stream=self._stream, max_age_s=_MAX_AGE_S, events=self, role="hub"
            )
            self._publisher.start()
        self._publisher.publish(frame)

    def stop(self, timeout_s: float) -> None:
        if self._publisher is not None:
            self._publisher.stop(timeout_s)

    # What the publisher tells. Clients report to the producer, not to the hub.

    def on_control(self, message: ControlMessage) -> None:
        """Of no use here."""

    def on_keyframe_needed(self) -> None:
        """Every reference stands alone."""

    def on_stale(self) -> None:
        """Counted by nobody."""

    def on_unsent(self, frames: int) -> None:
        """Likewise: the consumer sees the gap."""

    def on_refused(self) -> None:
        """It is logged."""
