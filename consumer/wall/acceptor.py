"""The listening sockets of the gateway: which connections are accepted, how fast, and which are closed."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import Final

from aiohttp import web

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import ListenError
from fanlight.common.model.reasons import reason
from fanlight.common.transport.tcp import sockets
from fanlight.common.transport.tcp.acceptor import BACKLOG, OUT_OF_FILES, why_not
from fanlight.common.transport.tcp.connection_limiter import ConnectionLimiter, peer_of
from fanlight.consumer.wall.certificate import ServerCertificate
from fanlight.consumer.wall.connection import Connection, Connections
from fanlight.consumer.wall.limits import Refused

_LOG = logging.getLogger(__name__)

# New ones in a check's interval, so that a flood of them takes the event loop a few percent of its time.
MOST_ACCEPTED: Final = 50
CHECK_S: Final = 0.1
# Without file descriptors a listening socket is readable for ever: it is not polled for this long.
_OUT_OF_FILES_S: Final = 1.0
_HANDSHAKE_S: Final = 5.0
_SHUTDOWN_S: Final = 1.0


class Acceptor:
    """Belongs to the event loop in which it is started.

    In place of aiohttp's own, which accepts without a limit in number, rate and time.

    Args:
        server: speaks HTTP over the connections.
        connections: those that it accepts.
        certificate: None for HTTP without TLS.
    """

    def __init__(
        self,
        server: web.Server | None,
        connections: Connections,
        certificate: ServerCertificate | None = None,
    ) -> None:
        if server is None:
            raise RuntimeError("the runner of the server was not set up")
        self._server = server
        self._certificate = certificate
        self._connections = connections
        self._limiter = ConnectionLimiter()
        self._listening: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepted = 0
        self._paused_until_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._log = LimitedLog(_LOG)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [sock.getsockname()[:2] for sock in self._listening]

    def start(self, host: str, port: int) -> None:
        """Raises ListenError: it cannot listen there."""
        try:
            self._listening = sockets.listen(host, port, BACKLOG)
        except OSError as error:
            raise ListenError(f"{host}:{port}: cannot listen there: {why_not(error, 'wall')}") from None
        self._resume()
        self._check()

    def stop_accepting(self) -> None:
        self._pause(0.0)
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._listening:
            sock.close()
        self._listening = []

    async def close(self) -> None:
        """End all connections at once."""
        self.stop_accepting()
        self._connections.abort_all()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(CHECK_S, self._check)
        self._accepted = 0
        self._connections.abort_overdue(monotonic_ns())
        if self._paused_until_s is not None and loop.time() >= self._paused_until_s:
            self._resume()

    def _resume(self) -> None:
        self._paused_until_s = None
        for sock in self._listening:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _pause(self, for_s: float) -> None:
        """Until the first check after this time."""
        loop = asyncio.get_running_loop()
        self._paused_until_s = loop.time() + for_s
        for sock in self._listening:
            loop.remove_reader(sock)

    def _accept(self, listening: socket.socket) -> None:
        now_ns = monotonic_ns()
        try:
            sock, address = listening.accept()
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                self._log.warn(now_ns, "no further connection: %s", reason(error))
                self._pause(0.0 if self._connections.make_room() else _OUT_OF_FILES_S)
            return
        self._accepted += 1
        if self._accepted >= MOST_ACCEPTED:
            self._pause(0.0)
        peer = peer_of(address[0])
        refusal = self._limiter.admit(peer, now_ns)
        if refusal is None and not self._connections.has_room():
            if self._connections.make_room():
                self._log.warn(now_ns, "closed an idle connection, to have room for another one")
            else:
                self._limiter.release(peer)
                refusal = f"{self._connections.most} connections are in use"
        if refusal is not None:
            self._connections.counts[Refused.CONNECTIONS] += 1
            self._log.warn(now_ns, "refused a connection from %s: %s", address[0], refusal)
            sock.close()
            return
        connection = self._connections.add(
            peer or address[0], self._server, partial(self._limiter.release, peer), now_ns
        )
        task = asyncio.get_running_loop().create_task(self._connect(sock, connection, now_ns))
        connection.handshake = task
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _connect(self, sock: socket.socket, connection: Connection, now_ns: int) -> None:
        try:
            sockets.tune(sock, sockets.CLIENT_TIMEOUT_MS)
            context = None if self._certificate is None else self._certificate.context(now_ns)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=None if context is None else _HANDSHAKE_S,
                ssl_shutdown_timeout=None if context is None else _SHUTDOWN_S,
            )
        except OSError as error:  # TLS errors are such: a client of HTTP, an old version, no common cipher
            self._log.warn(monotonic_ns(), "no connection with %s: %s", connection.peer, reason(error))
            sock.close()
            connection.connection_lost(error)
        except asyncio.CancelledError:
            sock.close()
            connection.connection_lost(None)
            raise
