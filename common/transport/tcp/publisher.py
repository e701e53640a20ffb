"""Common part of the publishers without a broker: the listener, the ring of frames, the clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from fanlight.common.clock import monotonic_ns, monotonic_of, wall_ns
from fanlight.common.model.address import TcpAddress
from fanlight.common.model.announcement import AnnouncementSchedule
from fanlight.common.model.bye import Bye
from fanlight.common.model.control import ClockRequest, ControlMessage, KeyframeRequest, Reason, answer
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.transport.base import MAX_CLIENTS, PublisherEvents
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.bind_check import check_bind
from fanlight.common.transport.tcp.feed import Feed
from fanlight.common.transport.tcp.listener import Client, Listener, ListenerOwner
from fanlight.common.transport.tcp.ring import PayloadRing

# A client that is behind by this fraction of `max_age_s` continues with the newest keyframe.
_STALE_SHARE: Final = 0.5


class TcpPublisher(ListenerOwner):
    """Most of a `common.transport.base.Publisher`; a design adds which thread sends.

    Raises:
        ConfigError: it would listen beyond this machine without a token.
    """

    def __init__(
        self,
        address: TcpAddress,
        *,
        stream: str,
        max_age_s: float,
        events: PublisherEvents,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        check_bind(address)
        self._stream = stream
        self._stale_ns = int(max_age_s * 1e9 * _STALE_SHARE)
        self._events = events
        self._ring = PayloadRing()
        self._feeds: dict[Client, Feed] = {}
        self._schedule = AnnouncementSchedule()
        self._listener = Listener(
            address, self, stream=stream, title=f"fanlight producer {stream}", max_clients=max_clients
        )
        self._changed = threading.Condition()
        self.watched = False
        self.branch = None
        self._pending = 0  # frames that must leave before another one is welcome
        self._stopped = False
        self.failure: FanlightError | None = None

    def start(self) -> None:
        self._listener.start()

    def wait_ready(self, timeout_s: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or (self.watched and not self._pending), timeout_s)
            return self.watched and not self._pending and not self._ended

    def stop(self, timeout_s: float, bye: Bye | None = None) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            already, self._stopped = self._stopped, True
            self._changed.notify_all()
        if not already:
            self._send_rest(timeout_s / 4, None if bye is None else wire.bye_message(bye))
        self._listener.stop(max(0.1, deadline_s - time.monotonic()))

    @property
    def _ended(self) -> bool:
        return self._stopped or self.failure is not None

    def _put(self, frames: Sequence[EncodedFrame]) -> None:
        """Write them to the ring, as one payload."""
        header = frames[0].header
        self._ring.put(
            b"".join(map(wire.frame_message, frames)),
            frames=len(frames),
            key=header.key,
            captured_ns=monotonic_of(header.capture_ns),
        )

    def _send_rest(self, timeout_s: float, end: bytes | None) -> None:
        """Send what is left to all clients, and this after it; and shut down their connections."""
        raise NotImplementedError

    # From here on everything runs in the listener's thread.

    def _serve(self, client: Client, feed: Feed) -> None:
        """Begin to send what `feed` gives."""
        raise NotImplementedError

    def _wake(self, client: Client) -> None:
        """Its feed may have something."""
        raise NotImplementedError

    def on_listening(self) -> None:
        self._events.on_connected()

    def on_admitted(self, client: Client, *, follow: bool) -> None:
        feed = Feed(
            self._ring,
            stale_ns=self._stale_ns,
            on_lost=self._events.on_unsent,
            on_needs_key=partial(self._request_keyframe, client),
            ends=client.handshake.bye,
        )
        self._feeds[client] = feed
        feed.send(lambda: client.handshake.welcome)
        feed.follow(follow)
        self._update_watched()
        announcement = self._events.announcement()
        if client.handshake.directory and announcement is not None:
            feed.send(partial(wire.announcement_message, announcement))
        self._serve(client, feed)

    def on_follow(self, client: Client, follow: bool) -> None:
        self._feeds[client].follow(follow)
        self._update_watched()
        self._wake(client)

    def on_clock(self, client: Client, request: ClockRequest, received_ns: int) -> None:
        self._feeds[client].send(
            lambda: wire.control_message(answer(request, received_ns=received_ns, now_ns=wall_ns()))
        )
        self._wake(client)

    def on_control(self, message: ControlMessage) -> None:
        self._events.on_control(message)

    def on_check(self) -> None:
        clients = [client for client in self._feeds if client.handshake.directory]
        announcement = self._events.announcement() if clients else None
        if announcement is None or not self._schedule.due(announcement, monotonic_ns()):
            return
        for client in clients:
            if client in self._feeds:  # the one before may have been disconnected with others
                self._feeds[client].send(partial(wire.announcement_message, announcement))
                self._wake(client)

    def on_disconnected(self, client: Client) -> None:
        del self._feeds[client]
        self._update_watched()

    def on_refused(self) -> None:
        self._events.on_refused()

    def on_failed(self, error: FanlightError) -> None:
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def _update_watched(self) -> None:
        watched = any(client.handshake.follows for client in self._feeds)
        if watched and not self.watched:
            self._events.on_keyframe_needed()
        with self._changed:
            changed, self.watched = self.watched is not watched, watched
            self._changed.notify_all()
        if changed:
            self.on_check()

    def _request_keyframe(self, client: Client) -> None:
        """Request a keyframe on behalf of a client that cannot continue without one. Thread-safe."""
        name = client.handshake.name or ""
        self._events.on_control(KeyframeRequest(stream=self._stream, name=name, reason=Reason.GAP))
