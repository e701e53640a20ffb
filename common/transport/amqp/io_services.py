"""One connection's bytes, between pika's transport and pika's connection: a public extension point of pika.

`SelectConnection` takes any `AbstractIOServices` as its `custom_ioloop`. Ours is pika's own, but for the
protocol and the socket that it hands on: so the link can count what is not sent yet, give a connection up,
and learn why one was lost.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import (
    AbstractIOReference,
    AbstractStreamProtocol,
    AbstractStreamTransport,
)
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

from fanlight.common.transport.amqp.plain_tcp import PlainTcpTransport

# What the system takes and does not send yet can neither be counted nor dropped: on a slow network it would
# be seconds of video.
_MOST_UNSENT_BYTES: Final = 16 * 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER, for 0 s


class Transport(AbstractStreamProtocol):
    """What pika's transport tells pika's connection goes through here. In the link's thread.

    Attributes:
        first: the first bytes that came.
        cause: why the connection was lost, once it is; None after an orderly end.
        unreadable: whether that is since pika could not parse what came.
    """

    def __init__(self, connection: AbstractStreamProtocol, sock: socket.socket) -> None:
        self.connection = connection
        self.first = b""
        self.cause: BaseException | None = None
        self.unreadable = False
        self._sock = sock
        self._below: AbstractStreamTransport | None = None
        self._detached = False

    @property
    def unsent_bytes(self) -> int:
        """What the operating system has not taken yet: above 0, the network or the broker is slow."""
        return 0 if self._below is None else self._below.get_write_buffer_size()

    def give_up(self, cause: BaseException) -> None:
        """Close without a word. What has not arrived yet is not to arrive beside the next connection's."""
        if self._below is None or self.cause is not None:
            return
        self.cause = cause
        with contextlib.suppress(OSError):  # not under TLS, which has taken the socket over
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._below.abort()

    def detach(self, cause: BaseException) -> None:
        """The same, and pika hears no more of it: it cannot end an attempt that is under way."""
        self._detached = True
        self.give_up(cause)

    def connection_made(self, transport: AbstractStreamTransport) -> None:
        self._below = transport
        self.connection.connection_made(transport)

    def connection_lost(self, error: BaseException | None) -> None:
        self._below = None
        self.cause = self.cause or error
        if not self._detached:
            self.connection.connection_lost(self.cause)

    def eof_received(self) -> bool:
        return not self._detached and bool(self.connection.eof_received())

    def data_received(self, data: bytes) -> None:
        if not self.first:
            self.first = data
        try:
            self.connection.data_received(data)
        except Exception as error:
            # pika has no error of its own for what it cannot parse.
            if not _raised_by_pika(error):
                raise
            self.unreadable = self.cause is None
            self.give_up(error)


def _raised_by_pika(error: Exception) -> bool:
    """Whether it comes from pika alone, and from none of the callbacks that it calls."""
    trace = None if error.__traceback__ is None else error.__traceback__.tb_next
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("pika."):
        trace = trace.tb_next
    return trace is None


class IOServices(SelectorIOServicesAdapter):
    """Pika's services on its own loop, which note the latest socket and transport.

    Attributes:
        peer: the address that was last connected to.
        transport: of the latest connection; None before it has one.
    """

    def __init__(self, loop: IOLoop) -> None:
        super().__init__(loop)
        self.peer: str | None = None
        self.transport: Transport | None = None
        self._sock: socket.socket | None = None

    def close_attempt(self) -> None:
        """Close the socket of an attempt that nobody waits for any more. Only when the loop has ended."""
        if self._sock is not None:
            self._sock.close()

    def connect_socket(self, sock: socket.socket, resolved_addr: Any, on_done: Callable[..., None]) -> Any:
        self.peer, self.transport, self._sock = str(resolved_addr[0]), None, sock
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT_BYTES)
        return super().connect_socket(sock, resolved_addr, on_done)

    def create_streaming_connection(
        self,
        protocol_factory: Callable[[], AbstractStreamProtocol],
        sock: socket.socket,
        on_done: Callable[..., None],
        ssl_context: Any = None,
        server_hostname: str | None = None,
    ) -> Any:
        def made() -> Transport:
            self.transport = Transport(protocol_factory(), sock)
            return self.transport

        def done(result: Any) -> None:
            # Pika takes the protocol that it gets back for its connection.
            on_done(result if isinstance(result, BaseException) else (result[0], result[1].connection))

        if ssl_context is not None:
            return super().create_streaming_connection(made, sock, done, ssl_context, server_hostname)
        return _Linking(self, partial(self._link, sock, made(), done))

    def _link(self, sock: socket.socket, transport: Transport, done: Callable[[Any], None]) -> None:
        below = PlainTcpTransport(self, sock, transport)
        transport.connection_made(below)
        done((below, transport))


class _Linking(AbstractIOReference):
    """Links a transport up in the next turn of the loop, unless it is cancelled before."""

    def __init__(self, services: SelectorIOServicesAdapter, link: Callable[[], None]) -> None:
        self._link: Callable[[], None] | None = link
        services.add_callback_threadsafe(self._run)

    def cancel(self) -> bool:
        found, self._link = self._link, None
        return found is not None

    def _run(self) -> None:
        if self._link is not None:
            self._link()
            self._link = None
