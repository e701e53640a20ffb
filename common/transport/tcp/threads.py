"""Publishes one stream to clients that connect to it, with a sender thread for each of them.

The design of the study's first program, corrected: concurrent, but under the GIL not parallel. Only
the system calls of the senders run side by side.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from fanlight.common.model.address import TcpAddress
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.transport.base import MAX_CLIENTS, PublisherEvents
from fanlight.common.transport.tcp.feed import Feed
from fanlight.common.transport.tcp.listener import Client
from fanlight.common.transport.tcp.publisher import TcpPublisher
from fanlight.common.transport.tcp.sender import Sender

_LOG = logging.getLogger(__name__)

_JOIN_S: Final = 1.0


class ThreadsPublisher(TcpPublisher):
    """See `common.transport.base.Publisher`.

    Args:
        payload_frames: how many frames are sent as one; more than 1 saves wake-ups and adds their time.
    """

    def __init__(
        self,
        address: TcpAddress,
        *,
        stream: str,
        max_age_s: float,
        events: PublisherEvents,
        max_clients: int = MAX_CLIENTS,
        payload_frames: int = 1,
    ) -> None:
        super().__init__(
            address, stream=stream, max_age_s=max_age_s, events=events, max_clients=max_clients
        )
        self._payload_frames = payload_frames
        self._gathered: list[EncodedFrame] = []
        # Replaced by the listener's thread; the publishing thread loads the tuple once.
        self._by_client: dict[Client, Sender] = {}
        self._senders: tuple[Sender, ...] = ()

    def publish(self, frame: EncodedFrame) -> None:
        # A client can begin with any payload that begins with a keyframe, so each keyframe begins one.
        if frame.header.key:
            self._put_gathered()
        self._gathered.append(frame)
        if len(self._gathered) >= self._payload_frames:
            self._put_gathered()

    def _put_gathered(self) -> None:
        frames, self._gathered = self._gathered, []
        if frames:
            self._put(frames)
            for sender in self._senders:
                sender.wake()

    def _send_rest(self, timeout_s: float, end: bytes | None) -> None:
        self._put_gathered()
        self._ring.end = end
        for sender in self._senders:
            sender.finish()
        deadline_s = time.monotonic() + timeout_s
        for sender in self._senders:
            sender.join(max(0.0, deadline_s - time.monotonic()))

    # From here on everything runs in the listener's thread.

    def _serve(self, client: Client, feed: Feed) -> None:
        sender = Sender(client.sock, feed, client.handshake.name or "")
        self._by_client[client] = sender
        self._senders = tuple(self._by_client.values())
        try:
            sender.start()
        except RuntimeError as error:  # no more threads to be had
            _LOG.warning("%s refused: %s", client.peer, error)
            self._events.on_refused()
            self._listener.disconnect(client)

    def _wake(self, client: Client) -> None:
        self._by_client[client].wake()

    def on_disconnected(self, client: Client) -> None:
        super().on_disconnected(client)
        sender = self._by_client.pop(client)
        self._senders = tuple(self._by_client.values())
        sender.finish()  # the socket is shut down: what it still sends, fails
        sender.join(_JOIN_S)
