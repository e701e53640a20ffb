"""The producer's door: listens, lets clients in, hears what they say. One thread with one event loop."""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.model.address import TcpAddress
from fanlight.common.model.control import ClockRequest, ControlMessage
from fanlight.common.model.errors import FanlightError, ListenError, WireFormatError
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.transport.tcp import sockets, wire
from fanlight.common.transport.tcp.connection_limiter import ConnectionLimiter, peer_of
from fanlight.common.transport.tcp.handshake import Handshake
from fanlight.common.transport.tcp.token import Challenge
from fanlight.common.transport.tcp.wire import Hello

_LOG = logging.getLogger(__name__)

_NONCE_BYTES: Final = 16
_BACKLOG: Final = 1024
_LOOK_ROUND_S: Final = 0.5
_LAST_LOOKS_S: Final = 0.05
# Connections that have not introduced themselves: with more of them the oldest has to go.
MOST_STRANGERS: Final = 128
# Connections in all; fewer if the limit of file descriptors is low.
MOST_CLIENTS: Final = 1024
# Whom one look round lets in, so that a flood of connections takes this thread a few percent of its time.
MOST_ARRIVALS: Final = 250
_READ_BYTES: Final = 16 * 1024
# Without file descriptors a listening socket is readable for ever; so long it is not looked at.
_OUT_OF_FILES_S: Final = 1.0
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# How long a client may take to go, once told to, or once everything was sent.
_LEAVE_S: Final = 0.5


class Client:
    """One connection.

    Attributes:
        sock: blocking; the door reads it without waiting.
        peer: its address, for people.
        leaving: True once nothing more is to be heard from it.
        admitted: whether the owner has been told of it.
    """

    def __init__(self, sock: socket.socket, peer: str, visitor: Handshake) -> None:
        self.sock = sock
        self.peer = peer
        self.visitor = visitor
        self.leaving_since_s: float | None = None
        self.watched_writable = False
        self.admitted = False
        self.counted_as: str | None = None

    @property
    def leaving(self) -> bool:
        return self.leaving_since_s is not None


class ListenerOwner(Protocol):
    """A design. Called in the door's thread."""

    def on_listening(self) -> None:
        """Clients can come."""
        ...

    def on_admitted(self, client: Client, *, follow: bool) -> None:
        """A client introduced itself: greet it, and serve it if it follows."""
        ...

    def on_follow(self, client: Client, follow: bool) -> None:
        """It wants frames from now on, or none."""
        ...

    def on_clock(self, client: Client, request: ClockRequest, received_ns: int) -> None:
        """It asks for the time."""
        ...

    def on_control(self, message: ControlMessage) -> None:
        """It asks for a keyframe, or reports."""
        ...

    def on_writable(self, client: Client) -> None:
        """It takes bytes again; see `Listener.watch_writable`."""
        ...

    def on_left(self, client: Client) -> None:
        """An admitted one is gone; its socket is shut down, and closed when this returns."""
        ...

    def on_refused(self) -> None:
        """A connection was refused, or ended since it broke the contract."""
        ...

    def on_failed(self, error: FanlightError) -> None:
        """Nobody can come; no further attempt is made."""
        ...


class Listener:
    """Owns the listening sockets, every client's socket, and the thread that sees to them."""

    def __init__(self, address: TcpAddress, owner: ListenerOwner, *, stream: str, title: str) -> None:
        self._address = address
        self._owner = owner
        self._stream = stream
        self._title = title
        self._selector = selectors.DefaultSelector()
        self._bell = sockets.Waker()
        self._calls: deque[Callable[[], None]] = deque()
        self._listening: list[socket.socket] = []
        self._listen_again_s: float | None = None
        # In the order in which they came.
        self._clients: dict[Client, None] = {}
        self._strangers: dict[Client, None] = {}
        self._turnstile = ConnectionLimiter()
        self._arrivals = 0
        self._complaints = RateLimiter()
        self._stopping = False
        self._end_s = 0.0
        self._looked_s = 0.0
        self._thread = threading.Thread(target=self._run, name=title, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the door's thread, soon. Thread-safe."""
        self._calls.append(function)
        self._bell.ring()

    def stop(self, timeout_s: float) -> None:
        """Say goodbye to everybody and end. Safe to call twice."""
        if self._thread.ident is None:
            self._close()
            return
        self._end_s = time.monotonic() + min(_LEAVE_S, timeout_s)
        self._stopping = True
        self._bell.ring()
        self._thread.join(timeout_s)

    # From here on everything runs in the door's thread.

    def watch_writable(self, client: Client, wanted: bool) -> None:
        """Whether `on_writable` is to be called when it takes bytes."""
        if wanted is not client.watched_writable and client in self._clients:
            client.watched_writable = wanted
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
            self._selector.modify(client.sock, events, client)

    def leave(self, client: Client) -> None:
        """End a connection."""
        if client not in self._clients:
            return
        del self._clients[client]
        self._strangers.pop(client, None)
        self._turnstile.leave(client.counted_as)
        self._selector.unregister(client.sock)
        with contextlib.suppress(OSError):
            client.sock.shutdown(socket.SHUT_RDWR)
        if client.admitted:
            self._owner.on_left(client)
        client.sock.close()

    def _run(self) -> None:
        try:
            self._selector.register(self._bell, selectors.EVENT_READ)
            self._listen()
            self._owner.on_listening()
            while not self._stopping or (self._clients and time.monotonic() < self._end_s):
                self._turn()
        except FanlightError as error:
            self._owner.on_failed(error)
        except Exception as error:  # noqa: BLE001 (a thread's last resort: its owner must hear of it)
            _LOG.exception("%s: internal error", self._title)
            self._owner.on_failed(FanlightError(f"{self._title}: internal error: {error!r}"))
        finally:
            for client in tuple(self._clients):
                self.leave(client)
            self._close()

    def _close(self) -> None:
        self._stop_listening(for_good=True)
        self._selector.close()
        self._bell.close()

    def _listen(self) -> None:
        try:
            self._listening = sockets.listen(self._address.host, self._address.port, _BACKLOG)
        except OSError as error:
            raise ListenError(f"{self._address}: cannot listen there: {_why(error)}") from None
        for sock in self._listening:
            self._selector.register(sock, selectors.EVENT_READ, sock)
        _LOG.info("%s: listening at %s", self._title, self._address)

    def _stop_listening(self, *, for_good: bool = False) -> None:
        for sock in self._listening:
            with contextlib.suppress(KeyError):
                self._selector.unregister(sock)
            if for_good:
                sock.close()

    def _turn(self) -> None:
        for key, events in self._selector.select(_LAST_LOOKS_S if self._stopping else _LOOK_ROUND_S):
            if key.fileobj is self._bell:
                self._bell.silence()
            elif isinstance(key.data, Client):
                if events & selectors.EVENT_WRITE and key.data in self._clients:
                    self._owner.on_writable(key.data)
                if events & selectors.EVENT_READ and key.data in self._clients:
                    self._hear(key.data)
            else:
                self._accept(key.data)
        while self._calls:
            self._calls.popleft()()
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_ROUND_S:
            self._looked_s = now_s
            self._look_round(now_s)

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, peer = listening.accept()
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                self._complain("no more connections: %s", error.strerror)
                self._stop_listening()
                self._listen_again_s = time.monotonic() + _OUT_OF_FILES_S
            return
        if self._stopping:
            sock.close()
            return
        shown, counted_as = f"{peer[0]}:{peer[1]}", peer_of(peer[0])
        reason = self._turnstile.enter(counted_as, monotonic_ns())
        if reason is not None:
            self._turn_away(sock, shown, reason)
            return
        self._arrivals += 1
        if self._arrivals == MOST_ARRIVALS:
            self._stop_listening()
            self._listen_again_s = time.monotonic()
        sockets.tune(sock, sockets.TAKES_NOTHING_MS)
        client = Client(sock, shown, Handshake(self._stream, monotonic_ns(), self._challenge()))
        client.counted_as = counted_as
        if not self._make_room():
            self._turnstile.leave(counted_as)
            self._turn_away(sock, client.peer, f"more than {len(self._clients)} connections")
            return
        self._clients[client] = None
        self._strangers[client] = None
        self._selector.register(sock, selectors.EVENT_READ, client)
        if len(self._strangers) > MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            self._refuse(oldest, f"more than {MOST_STRANGERS} connections without a hello")

    def _make_room(self) -> bool:
        """Whether one more can be kept: who is leaving, or has not said hello, goes for him at once."""
        if len(self._clients) < sockets.room_for(MOST_CLIENTS):
            return True
        leaving = next((client for client in self._clients if client.leaving), None)
        victim = leaving or next(iter(self._strangers), None)
        if victim is not None:
            self.leave(victim)
        return victim is not None

    def _turn_away(self, sock: socket.socket, peer: str, reason: str) -> None:
        self._owner.on_refused()
        self._complain("%s refused: %s", peer, reason)
        with contextlib.suppress(OSError):
            sock.send(wire.refusal_message(reason), socket.MSG_DONTWAIT)
        sock.close()

    def _hear(self, client: Client) -> None:
        try:
            data = client.sock.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                self._complain(
                    "%s put out: it took nothing for %d s", client.peer, sockets.TAKES_NOTHING_MS // 1000
                )
            data = b""
        if not data:
            self.leave(client)
            return
        if client.leaving:
            return
        received_ns = wall_ns()
        try:
            said = client.visitor.hear(memoryview(data), monotonic_ns())
        except WireFormatError as error:
            self._refuse(client, str(error), error.field)
            return
        for one in said:
            if client not in self._clients:
                return  # it was found to be gone when it was answered
            self._react(client, one, received_ns)

    def _challenge(self) -> Challenge | None:
        token = self._address.token
        return None if token is None else Challenge(token, secrets.token_hex(_NONCE_BYTES))

    def _react(
        self, client: Client, said: Hello | bool | ControlMessage | Challenge, received_ns: int
    ) -> None:
        if isinstance(said, Challenge):
            with contextlib.suppress(OSError):  # the first bytes of all: there is room for them
                client.sock.send(said.message, socket.MSG_DONTWAIT)
        elif isinstance(said, Hello):
            client.admitted = True
            self._strangers.pop(client, None)
            self._owner.on_admitted(client, follow=said.follow)
        elif isinstance(said, bool):
            self._owner.on_follow(client, said)
        elif isinstance(said, ClockRequest):
            self._owner.on_clock(client, said, received_ns)
        else:
            self._owner.on_control(said)

    def _refuse(self, client: Client, reason: str, field: str = "") -> None:
        self._owner.on_refused()
        self._complain("%s refused: %s", client.peer, reason)
        if client.admitted:
            self.leave(client)  # it may be in the middle of a frame: it would not understand
            return
        client.leaving_since_s = time.monotonic()
        self._strangers.pop(client, None)
        with contextlib.suppress(OSError):
            client.sock.send(wire.refusal_message(reason, field), socket.MSG_DONTWAIT)
            client.sock.shutdown(socket.SHUT_WR)

    def _look_round(self, now_s: float) -> None:
        self._arrivals = 0
        if self._listen_again_s is not None and now_s >= self._listen_again_s and not self._stopping:
            self._listen_again_s = None
            for sock in self._listening:
                self._selector.register(sock, selectors.EVENT_READ, sock)
        now_ns = monotonic_ns()
        for client in tuple(self._clients):
            if client.leaving_since_s is not None:
                if now_s - client.leaving_since_s > _LEAVE_S:
                    self.leave(client)
                continue
            reason = client.visitor.overdue(now_ns)
            if reason is not None:
                self._refuse(client, reason)

    def _complain(self, text: str, *details: Any) -> None:
        held_back = self._complaints.allow(monotonic_ns())
        if held_back is not None:
            suffix = f" (and {held_back} more like it)" if held_back else ""
            _LOG.warning("%s: " + text + "%s", self._title, *details, suffix)


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use: is another producer running? End it, or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "it is no address of this machine; 0.0.0.0 stands for all that it has"
    return error.strerror or str(error)
