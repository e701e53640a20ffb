"""The directory of a producer without a broker: its own stream is all that there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.address import TcpAddress
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.control import MAX_CONTROL_BYTES
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import Limits
from fanlight.common.transport.base import SubscriberEvents
from fanlight.common.transport.live_list import Listed, LiveList
from fanlight.common.transport.tcp.subscriber import TcpSubscriber

# A hello names a stream. Producers of earlier versions, which know no directory, refuse this one.
_ANY_STREAM: Final = "streams"


class TcpDirectory(SubscriberEvents):
    """See `common.transport.base.DirectorySubscriber`. Complete with the first announcement."""

    def __init__(
        self,
        address: TcpAddress,
        *,
        name: str,
        on_change: Callable[[Listed], None],
        on_failed: Callable[[FanlightError], None],
    ) -> None:
        self._list = LiveList(on_change)
        self._on_failed = on_failed
        self._subscriber = TcpSubscriber(
            address,
            stream=_ANY_STREAM,
            name=name,
            events=self,
            follow=False,
            limits=Limits(max_body_bytes=MAX_CONTROL_BYTES),
            directory=True,
        )

    @property
    def complete(self) -> bool:
        return self._list.complete

    @property
    def refused(self) -> int:
        return self._list.refused

    def start(self) -> None:
        self._subscriber.start()

    def stop(self, timeout_s: float) -> None:
        self._subscriber.stop(timeout_s)

    # From here on everything runs in the subscriber's thread.

    def on_connected(self) -> None:
        self._list.established(monotonic_ns())

    def on_announcement(self, announcement: Announcement) -> None:
        now_ns = monotonic_ns()
        self._list.observe(announcement, now_ns)
        self._list.check(now_ns, complete=True)

    def on_malformed(self, error: WireFormatError) -> None:
        self._list.malformed(error, monotonic_ns())

    def on_tick(self) -> None:
        self._list.check(monotonic_ns())

    def on_disconnected(self) -> None:
        self._list.clear()

    def on_failed(self, error: FanlightError) -> None:
        self._on_failed(error)
