"""Wraps pika's transport, through a public extension point of pika.

`SelectConnection` accepts any `AbstractIOServices` as its `custom_ioloop`. This one is pika's own except
for the protocol and the socket, so that the link can count unsent bytes, abort a connection, and find out
why one was lost.
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

from fanlight.common.forked import release_in_child
from fanlight.common.transport.amqp.header_tables import HeaderTableFilter
from fanlight.common.transport.amqp.plain_tcp import PlainTcpTransport

# Bytes in the kernel's send buffer can be neither counted nor dropped: by default they would be seconds of
# video on a slow network.
_MOST_UNSENT_BYTES: Final = 16 * 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER, for 0 s


class Transport(AbstractStreamProtocol):
    """The protocol between pika's transport and pika's connection. In the link's thread.

    Attributes:
        first: the first bytes received.
        cause: why the connection was lost; None while it is open and after an orderly end.
        unreadable: whether it was aborted because pika could not parse a message.
    """

    def __init__(
        self, connection: AbstractStreamProtocol, sock: socket.socket, tables: HeaderTableFilter | None
    ) -> None:
        self.connection = connection
        self._tables = tables
        self.first = b""
        self.cause: BaseException | None = None
        self.unreadable = False
        self._sock = sock
        self._below: AbstractStreamTransport | None = None
        self._detached = False

    @property
    def unsent_bytes(self) -> int:
        """Bytes not yet accepted by the operating system: above 0, the network or the broker is slow."""
        return 0 if self._below is None else self._below.get_write_buffer_size()

    def give_up(self, cause: BaseException) -> None:
        """Reset the connection. Unsent bytes must not arrive in parallel with the next connection's."""
        if self._below is None or self.cause is not None:
            return
        self.cause = cause
        with contextlib.suppress(OSError):  # fails under TLS, which has taken over the socket
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._below.abort()

    def detach(self, cause: BaseException) -> None:
        """The same without notifying pika, which cannot abort an attempt that is in progress."""
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
            self.connection.data_received(data if self._tables is None else self._tables.feed(data))
        except Exception as error:
            # pika has no exception of its own for malformed input.
            if not _raised_by_pika(error):
                raise
            self.unreadable = self.cause is None
            self.give_up(error)


def _raised_by_pika(error: Exception) -> bool:
    """Whether it was raised in pika itself, not in a callback."""
    trace = None if error.__traceback__ is None else error.__traceback__.tb_next
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("pika."):
        trace = trace.tb_next
    return trace is None


class IOServices(SelectorIOServicesAdapter):
    """Pika's I/O services, with access to the latest socket and transport.

    Attributes:
        peer: the address that was last connected to.
        transport: of the latest connection; None before it has one.
        header_tables: False if pika is to receive messages without their header tables.
    """

    def __init__(self, loop: IOLoop) -> None:
        super().__init__(loop)
        self.peer: str | None = None
        self.transport: Transport | None = None
        self.header_tables = True
        self._sock: socket.socket | None = None

    def close_attempt(self) -> None:
        """Close the socket of an abandoned attempt. Only when the loop has ended."""
        if self._sock is not None:
            self._sock.close()

    def connect_socket(self, sock: socket.socket, resolved_addr: Any, on_done: Callable[..., None]) -> Any:
        self.peer, self.transport, self._sock = str(resolved_addr[0]), None, sock
        release_in_child(sock, socket.socket.close)
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
            tables = None if self.header_tables else HeaderTableFilter()
            self.transport = Transport(protocol_factory(), sock, tables)
            return self.transport

        def done(result: Any) -> None:
            # pika expects its own connection object as the protocol.
            on_done(result if isinstance(result, BaseException) else (result[0], result[1].connection))

        if ssl_context is not None:
            return super().create_streaming_connection(made, sock, done, ssl_context, server_hostname)
        return _Linking(self, partial(self._link, sock, made(), done))

    def _link(self, sock: socket.socket, transport: Transport, done: Callable[[Any], None]) -> None:
        below = PlainTcpTransport(self, sock, transport)
        transport.connection_made(below)
        done((below, transport))


class _Linking(AbstractIOReference):
    """Connects a transport in the next iteration of the loop, unless cancelled before."""

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
