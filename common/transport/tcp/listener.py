"""Completes the handshakes of clients, and reads what they send. One thread with one event loop."""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.failure import failure
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.address import TcpAddress
from fanlight.common.model.control import ClockRequest, ControlMessage
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.transport.tcp import sockets, wire
from fanlight.common.transport.tcp.acceptor import Acceptor
from fanlight.common.transport.tcp.event_loop import READ, WRITE, EventLoop
from fanlight.common.transport.tcp.handshake import Handshake
from fanlight.common.transport.tcp.peer_user import ONLY_OURS, other_user
from fanlight.common.transport.tcp.token import Challenge
from fanlight.common.transport.tcp.wire import Hello

_LOG = logging.getLogger(__name__)

_NONCE_BYTES: Final = 16
_CHECK_INTERVAL_S: Final = 0.5
_CLOSING_POLL_S: Final = 0.05
# Connections without a hello: with more of them the oldest is refused.
MOST_UNIDENTIFIED: Final = 128
_READ_BYTES: Final = 16 * 1024
# How long a client may take to close its end, once refused, or once everything was sent.
_CLOSE_TIMEOUT_S: Final = 0.5


class Client:
    """One connection.

    Attributes:
        sock: blocking; the listener reads it without waiting.
        peer: its address, for log lines.
        closing: True once nothing more is read from it.
        admitted: whether its handshake is complete.
        release: to be called once it is closed.
    """

    def __init__(
        self, sock: socket.socket, peer: str, handshake: Handshake, release: Callable[[], None]
    ) -> None:
        self.sock = sock
        self.peer = peer
        self.handshake = handshake
        self.closing_since_s: float | None = None
        self.watched_writable = False
        self.admitted = False
        self.release = release

    @property
    def closing(self) -> bool:
        return self.closing_since_s is not None


class ListenerOwner:
    """A design. Called in the listener's thread; override what is of use."""

    def on_listening(self) -> None:
        """Clients can connect."""

    def on_admitted(self, client: Client, *, follow: bool) -> None:
        """A client has completed its handshake: send the welcome, and frames if it follows."""

    def on_follow(self, client: Client, follow: bool) -> None:
        """It wants frames from now on, or none."""

    def on_clock(self, client: Client, request: ClockRequest, received_ns: int) -> None:
        """It asks for the producer's clock."""

    def on_control(self, message: ControlMessage) -> None:
        """A keyframe request or a receiver report."""

    def on_writable(self, client: Client) -> None:
        """Its socket accepts bytes again; see `Listener.watch_writable`."""

    def on_check(self) -> None:
        """Called every half a second."""

    def on_disconnected(self, client: Client) -> None:
        """An admitted client is gone; its socket is shut down, and closed when this returns."""

    def on_refused(self) -> None:
        """A connection was refused, or ended since it broke the contract."""

    def on_failed(self, error: FanlightError) -> None:
        """It cannot listen; no further attempt is made."""


class Listener:
    """Owns every client's socket, and the thread that polls them.

    Args:
        max_clients: limit of connections; fewer if the limit of file descriptors is low.
    """

    def __init__(
        self, address: TcpAddress, owner: ListenerOwner, *, stream: str, title: str, max_clients: int
    ) -> None:
        self._max_clients = max_clients
        self._address = address
        self._owner = owner
        self._stream = stream
        self._title = title
        self._log = LimitedLog(_LOG)
        self._loop = EventLoop(title, self._run)
        self._acceptor = Acceptor(address, self._loop, self)
        # In the order in which they came.
        self._clients: dict[Client, None] = {}
        self._unidentified: dict[Client, None] = {}
        self._checked_s = 0.0
        self._end_s: float | None = None

    def start(self) -> None:
        self._loop.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the listener's thread, soon. Thread-safe."""
        self._loop.call(function)

    def stop(self, timeout_s: float) -> None:
        """Shut all connections down and end. Safe to call twice."""
        if not self._loop.started:
            self._close()
            return
        end_s = time.monotonic() + min(_CLOSE_TIMEOUT_S, timeout_s)
        self._loop.call(partial(self._begin_to_end, end_s))
        self._loop.join(timeout_s)

    # From here on everything runs in the listener's thread.

    def watch_writable(self, client: Client, wanted: bool) -> None:
        """Whether `on_writable` is called when its socket accepts bytes."""
        if wanted is not client.watched_writable and client in self._clients:
            client.watched_writable = wanted
            self._watch(client, READ | WRITE if wanted else READ)

    def disconnect(self, client: Client) -> None:
        """End a connection."""
        if client not in self._clients:
            return
        del self._clients[client]
        self._unidentified.pop(client, None)
        client.release()
        self._loop.forget(client.sock)
        with contextlib.suppress(OSError):
            client.sock.shutdown(socket.SHUT_RDWR)
        if client.admitted:
            self._owner.on_disconnected(client)
        client.sock.close()

    def _run(self) -> None:
        try:
            self._acceptor.listen()
            _LOG.info("%s: listening at %s", self._title, self._address)
            self._owner.on_listening()
            while self._end_s is None or (self._clients and time.monotonic() < self._end_s):
                self._poll()
        except Exception as error:  # noqa: BLE001 (the end of a thread: its owner has to know)
            self._owner.on_failed(failure(_LOG, self._title, error))
        finally:
            for client in tuple(self._clients):
                self.disconnect(client)
            self._close()

    def _begin_to_end(self, end_s: float) -> None:
        self._end_s = end_s

    def _close(self) -> None:
        self._acceptor.close()
        self._loop.close()

    def _poll(self) -> None:
        self._loop.poll(_CHECK_INTERVAL_S if self._end_s is None else _CLOSING_POLL_S)
        now_s = time.monotonic()
        if now_s - self._checked_s >= _CHECK_INTERVAL_S:
            self._checked_s = now_s
            self._acceptor.check(now_s)
            self._check_clients(now_s)
            self._owner.on_check()

    def _watch(self, client: Client, events: int) -> None:
        self._loop.watch(client.sock, partial(self._ready, client), events)

    def _ready(self, client: Client, events: int) -> None:
        if events & WRITE and client in self._clients:
            self._owner.on_writable(client)
        if events & READ and client in self._clients:
            self._read(client)

    def on_accepted(self, sock: socket.socket, peer: str, release: Callable[[], None]) -> None:
        if self._end_s is not None:
            release()
            sock.close()
            return
        sockets.tune(sock, sockets.CLIENT_TIMEOUT_MS)
        client = Client(sock, peer, Handshake(self._stream, monotonic_ns(), self._challenge()), release)
        if not self._has_room():
            release()
            served = f"{len(self._clients)} clients are served already, as many as allowed"
            self.on_rejected(sock, peer, f"{served} (--max-clients of the producer)")
            return
        self._clients[client] = None
        self._unidentified[client] = None
        self._watch(client, READ)
        if len(self._unidentified) > MOST_UNIDENTIFIED:
            oldest = next(iter(self._unidentified))
            self._refuse(oldest, f"more than {MOST_UNIDENTIFIED} connections without a hello")

    def on_rejected(self, sock: socket.socket, peer: str, why: str) -> None:
        self._owner.on_refused()
        self._warn("%s refused: %s", peer, why)
        with contextlib.suppress(OSError):
            sock.send(wire.refusal_message(why), socket.MSG_DONTWAIT)
        sock.close()

    def on_exhausted(self, why: str) -> None:
        self._warn("no more connections: %s", why)

    def _has_room(self) -> bool:
        """Whether there is room for one more: one that is closing, or has not said hello, makes room."""
        if len(self._clients) < sockets.most_connections(self._max_clients):
            return True
        closing = next((client for client in self._clients if client.closing), None)
        victim = closing or next(iter(self._unidentified), None)
        if victim is not None:
            self.disconnect(victim)
        return victim is not None

    def _read(self, client: Client) -> None:
        try:
            data = client.sock.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                self._warn(
                    "%s disconnected: it took nothing for %d s",
                    client.peer,
                    sockets.CLIENT_TIMEOUT_MS // 1000,
                )
            data = b""
        if not data:
            self.disconnect(client)
            return
        if client.closing:
            return
        received_ns = wall_ns()
        try:
            messages = client.handshake.receive(memoryview(data), monotonic_ns())
        except WireFormatError as error:
            self._refuse(client, str(error), error.field)
            return
        for message in messages:
            if client not in self._clients or client.closing:
                return  # the one before has disconnected it
            self._handle(client, message, received_ns)

    def _challenge(self) -> Challenge | None:
        token = self._address.token
        return None if token is None else Challenge(token, secrets.token_hex(_NONCE_BYTES))

    def _handle(
        self, client: Client, message: Hello | bool | ControlMessage | Challenge, received_ns: int
    ) -> None:
        if isinstance(message, Challenge):
            with contextlib.suppress(OSError):  # the first bytes of all: there is room
                client.sock.send(message.message, socket.MSG_DONTWAIT)
        elif isinstance(message, Hello):
            if self._address.token is None and not self._is_our_user(client):
                return
            client.admitted = True
            self._unidentified.pop(client, None)
            self._owner.on_admitted(client, follow=client.handshake.follows)
        elif isinstance(message, bool):
            self._owner.on_follow(client, message)
        elif isinstance(message, ClockRequest):
            self._owner.on_clock(client, message, received_ns)
        else:
            self._owner.on_control(message)

    def _is_our_user(self, client: Client) -> bool:
        """Whether it may be served without a token; else it is refused."""
        try:
            user = other_user(client.sock)
        except OSError:
            self.disconnect(client)
            return False
        if user is not None:
            self._refuse(client, f"it is of user {user}: {ONLY_OURS}", "token")
        return user is None

    def _refuse(self, client: Client, reason: str, field: str = "") -> None:
        self._owner.on_refused()
        self._warn("%s refused: %s", client.peer, reason)
        if client.admitted:
            self.disconnect(client)  # it may be in the middle of a frame
            return
        client.closing_since_s = time.monotonic()
        self._unidentified.pop(client, None)
        with contextlib.suppress(OSError):
            client.sock.send(wire.refusal_message(reason, field), socket.MSG_DONTWAIT)
            client.sock.shutdown(socket.SHUT_WR)

    def _check_clients(self, now_s: float) -> None:
        now_ns = monotonic_ns()
        for client in tuple(self._clients):
            if client.closing_since_s is not None:
                if now_s - client.closing_since_s > _CLOSE_TIMEOUT_S:
                    self.disconnect(client)
                continue
            reason = client.handshake.overdue(now_ns)
            if reason is not None:
                self._refuse(client, reason)

    def _warn(self, text: str, *details: object) -> None:
        self._log.warn(monotonic_ns(), "%s: " + text, self._title, *details)
