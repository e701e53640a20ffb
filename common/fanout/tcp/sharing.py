"""A hub's way to the consumers of its host where there is no broker: a Unix socket beside the pictures."""

from __future__ import annotations

import logging
from typing import Final

from common.address import TcpAddress
from common.clock import monotonic_ns
from common.control import ControlMessage
from common.errors import FanlightError
from common.fanout.multiplex.publisher import MultiplexPublisher
from common.fanout.tcp.places import local_place, reclaim
from common.frame import EncodedFrame

_LOG = logging.getLogger(__name__)

# References are worth nothing once their pictures are gone; the consumer's own limit does the rest.
_MAX_AGE_S: Final = 0.5
_RETRY_NS: Final = 5_000_000_000
_STOP_S: Final = 0.5


class LocalSharing:
    """See `common.fanout.base.Sharing`.

    Of several hubs one publishes, and it alone listens: it opens the socket with its first reference.
    """

    def __init__(self, address: TcpAddress, *, stream: str, share: str) -> None:
        self._stream = stream
        self._place = local_place(address, stream, share)
        self._publisher: MultiplexPublisher | None = None
        self._again_ns = 0

    @property
    def ready(self) -> bool:
        return self._again_ns == 0

    def start(self) -> None:
        """Nothing to connect to; tidies up."""
        reclaim()

    def publish(self, frame: EncodedFrame) -> None:
        now_ns = monotonic_ns()
        if now_ns < self._again_ns:
            return
        if self._publisher is not None and self._publisher.failure is not None:
            self._give_up(self._publisher, self._publisher.failure, now_ns)
            return
        self._again_ns = 0
        if self._publisher is None:
            self._publisher = MultiplexPublisher(
                self._place, stream=self._stream, max_age_s=_MAX_AGE_S, events=self, role="hub"
            )
            self._publisher.start()
        self._publisher.publish(frame)

    def _give_up(self, publisher: MultiplexPublisher, failure: FanlightError, now_ns: int) -> None:
        """For a while: consumers get the stream itself meanwhile."""
        _LOG.warning("share: %s", failure)
        publisher.stop(_STOP_S)
        self._publisher = None
        self._again_ns = now_ns + _RETRY_NS

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

    def on_connected(self) -> None:
        """Whoever looks for a hub finds it."""

    def on_disconnected(self) -> None:
        """A socket of this host is not lost."""

    def on_blocked(self, blocked: bool) -> None:
        """There is no broker."""
