"""The listening sockets of a producer: which connections are accepted, and how fast."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from fanlight.common.clock import monotonic_ns
from fanlight.common.forked import release_in_child
from fanlight.common.model.address import TcpAddress
from fanlight.common.model.errors import ListenError
from fanlight.common.model.reasons import reason
from fanlight.common.transport.tcp import sockets
from fanlight.common.transport.tcp.connection_limiter import ConnectionLimiter, peer_of
from fanlight.common.transport.tcp.event_loop import EventLoop

BACKLOG: Final = 1024
# Accepted per check, so that a flood of connections takes the thread a few percent of its time.
MOST_ACCEPTED: Final = 250
# Without file descriptors a listening socket is readable for ever: it is not polled for this long.
_OUT_OF_FILES_S: Final = 1.0
OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class AcceptorOwner(Protocol):
    """Called in the loop's thread."""

    def on_accepted(self, sock: socket.socket, peer: str, release: Callable[[], None]) -> None:
        """A connection from `peer` ("HOST:PORT"). `release` is called once, when it is closed."""
        ...

    def on_rejected(self, sock: socket.socket, peer: str, why: str) -> None:
        """A connection that is one too many, to be closed."""
        ...

    def on_exhausted(self, why: str) -> None:
        """The operating system has no room for a further connection, for now."""
        ...


class Acceptor:
    """Belongs to the thread of `loop`; times are monotonic."""

    def __init__(self, address: TcpAddress, loop: EventLoop, owner: AcceptorOwner) -> None:
        self._address = address
        self._loop = loop
        self._owner = owner
        self._limiter = ConnectionLimiter()
        self._sockets: list[socket.socket] = []
        self._accepted = 0
        self._resume_s: float | None = None

    def listen(self) -> None:
        """Raises ListenError: it cannot listen there."""
        try:
            self._sockets = sockets.listen(self._address.host, self._address.port, BACKLOG)
        except OSError as error:
            raise ListenError(
                f"{self._address}: cannot listen there: {why_not(error, 'producer')}"
            ) from None
        for sock in self._sockets:
            release_in_child(sock, socket.socket.close)
        self._resume()

    def check(self, now_s: float) -> None:
        """To be called at regular intervals."""
        self._accepted = 0
        if self._resume_s is not None and now_s >= self._resume_s:
            self._resume()

    def close(self) -> None:
        self._pause(0.0)
        for sock in self._sockets:
            sock.close()

    def _resume(self) -> None:
        self._resume_s = None
        for sock in self._sockets:
            self._loop.watch(sock, partial(self._accept, sock))

    def _pause(self, for_s: float) -> None:
        """Until the first check after this time."""
        self._resume_s = time.monotonic() + for_s
        for sock in self._sockets:
            self._loop.forget(sock)

    def _accept(self, listening: socket.socket, _events: int) -> None:
        try:
            sock, address = listening.accept()
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                self._owner.on_exhausted(reason(error))
                self._pause(_OUT_OF_FILES_S)
            return
        peer, counted_as = f"{address[0]}:{address[1]}", peer_of(address[0])
        refusal = self._limiter.admit(counted_as, monotonic_ns())
        if refusal is not None:
            self._owner.on_rejected(sock, peer, refusal)
            return
        self._accepted += 1
        if self._accepted == MOST_ACCEPTED:
            self._pause(0.0)
        release_in_child(sock, socket.socket.close)
        self._owner.on_accepted(sock, peer, partial(self._limiter.release, counted_as))


def why_not(error: OSError, program: str) -> str:
    """Why a program of this kind cannot listen there, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"the address is in use: is another {program} running? End it, or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "it is no address of this machine; 0.0.0.0 stands for all that it has"
    return reason(error)
