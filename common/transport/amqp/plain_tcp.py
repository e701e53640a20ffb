"""TCP without TLS for pika: reads in large pieces, writes at once.

pika's own transport reads 4 KiB at a time until nothing is left, and sends in the next iteration of the
loop: six system calls and an exception for a frame of 15 kB, instead of one call.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from functools import partial
from typing import Final

from pika.adapters.utils.nbio_interface import AbstractStreamProtocol, AbstractStreamTransport
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

_READ_BYTES: Final = 64 * 1024
# Enough for a large frame; then other callbacks of the loop can run.
_MOST_READS: Final = 16


class PlainTcpTransport(AbstractStreamTransport):
    """One connected socket, which it owns, and the protocol above it. In the loop's thread."""

    def __init__(
        self, services: SelectorIOServicesAdapter, sock: socket.socket, protocol: AbstractStreamProtocol
    ) -> None:
        self._services = services
        self._sock = sock
        self._protocol = protocol
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._open = True
        services.set_reader(sock.fileno(), self._readable)

    def get_protocol(self) -> AbstractStreamProtocol:
        return self._protocol

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def write(self, data: bytes) -> None:
        if not self._open:
            return
        if not self._unsent:
            data = data[self._send(data) :]
            if not data or not self._open:
                return
            self._services.set_writer(self._sock.fileno(), self._writable)
        self._unsent.append(data)
        self._unsent_bytes += len(data)

    def abort(self) -> None:
        self._end(None)

    def _send(self, data: bytes) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._end(error)
            return 0

    def _writable(self) -> None:
        while self._unsent:
            data = self._unsent.popleft()
            sent = self._send(data)
            self._unsent_bytes -= sent
            if sent < len(data):
                self._unsent.appendleft(data[sent:])
                return
        if self._open:
            self._services.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        for _ in range(_MOST_READS):
            try:
                data = self._sock.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._end(error)
                return
            if not data:
                self._protocol.eof_received()
                self._end(None)
                return
            self._protocol.data_received(data)
            if len(data) < _READ_BYTES or not self._open:
                return

    def _end(self, error: BaseException | None) -> None:
        if not self._open:
            return
        self._open = False
        self._services.remove_reader(self._sock.fileno())
        self._services.remove_writer(self._sock.fileno())
        self._unsent.clear()
        # Not from within a call of the protocol.
        self._services.add_callback_threadsafe(partial(self._lost, error))

    def _lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            with contextlib.suppress(OSError):  # the peer may have closed it
                self._sock.shutdown(socket.SHUT_RDWR)
            self._sock.close()
