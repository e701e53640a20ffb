"""Publishes one stream to clients that connect to it, with a sender thread for each of them.

The design of the study's first program, mended: concurrent, but under the GIL not parallel. Only the system
calls of the senders run side by side.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Final

from common.address import TcpAddress
from common.clock import monotonic_of, wall_ns
from common.control import ClockRequest, answer
from common.fanout.base import PublisherEvents
from common.fanout.tcp import wire
from common.fanout.tcp.door import Client
from common.fanout.tcp.publisher import TcpPublisher
from common.fanout.threads.ring import PayloadRing
from common.fanout.threads.sender import Sender
from common.frame import EncodedFrame

_LOG = logging.getLogger(__name__)

_JOIN_S: Final = 1.0


class ThreadsPublisher(TcpPublisher):
    """See `common.fanout.base.Publisher`.

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
        payload_frames: int = 1,
    ) -> None:
        super().__init__(address, stream=stream, max_age_s=max_age_s, events=events)
        self._payload_frames = payload_frames
        self._ring = PayloadRing()
        self._gathered: list[EncodedFrame] = []
        # The door's thread replaces them; whoever publishes reads them once.
        self._by_client: dict[Client, Sender] = {}
        self._senders: tuple[Sender, ...] = ()

    def wait_ready(self, timeout_s: float) -> bool:
        if not self._watched or self._ended:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._watched, timeout_s)
        return self._watched and not self._ended

    def publish(self, frame: EncodedFrame) -> None:
        # A client can begin with any payload that begins with a keyframe, so each keyframe begins one.
        if frame.header.key:
            self._put()
        self._gathered.append(frame)
        if len(self._gathered) >= self._payload_frames:
            self._put()

    def stop(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        if self._stop_once():
            self._put()
            for sender in self._senders:
                sender.finish()
            for sender in self._senders:
                sender.join(max(0.0, deadline_s - time.monotonic() - timeout_s * 3 / 4))
        self._door.stop(max(0.1, deadline_s - time.monotonic()))

    def _put(self) -> None:
        frames, self._gathered = self._gathered, []
        if not frames:
            return
        header = frames[0].header
        data = b"".join(map(wire.frame_message, frames))
        captured_ns = monotonic_of(header.capture_ns)
        self._ring.put(data, frames=len(frames), key=header.key, captured_ns=captured_ns)
        for sender in self._senders:
            sender.wake()

    # From here on everything runs in the door's thread.

    def on_admitted(self, client: Client, *, follow: bool) -> None:
        sender = Sender(
            client.sock,
            self._ring,
            stale_ns=self._stale_ns,
            name=client.visitor.name or "",
            on_lost=self._events.on_unsent,
            on_needs_key=partial(self._ask_for_key, client),
        )
        sender.say(lambda: client.visitor.welcome)
        self._by_client[client] = sender
        self._senders = tuple(self._by_client.values())
        self.on_follow(client, follow)
        try:
            sender.start()
        except RuntimeError as error:  # no more threads to be had
            _LOG.warning("%s turned away: %s", client.peer, error)
            self._events.on_refused()
            self._door.leave(client)

    def on_follow(self, client: Client, follow: bool) -> None:
        self._by_client[client].follow(follow)
        self._look_who_watches(self._by_client)

    def on_clock(self, client: Client, request: ClockRequest, received_ns: int) -> None:
        self._by_client[client].say(
            lambda: wire.control_message(answer(request, received_ns=received_ns, now_ns=wall_ns()))
        )

    def on_writable(self, client: Client) -> None:
        """Senders wait by themselves."""

    def on_left(self, client: Client) -> None:
        sender = self._by_client.pop(client)
        self._senders = tuple(self._by_client.values())
        sender.finish()  # the socket is shut down: what it still sends, fails
        sender.join(_JOIN_S)
        self._look_who_watches(self._by_client)
