"""A WebSocket client (RFC 6455) that sends whatever a test wants, and one that watches a stream with it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from typing import Final

from tests.support.timing import scaled

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
_MASK: Final = b"\x01\x02\x03\x04"


def frame(
    opcode: int, payload: bytes = b"", *, last: bool = True, reserved: int = 0, announced: int | None = None
) -> bytes:
    """One frame, as a client sends it.

    Args:
        last: of the message.
        reserved: the three bits for extensions.
        announced: the length in the header, in place of the right one.
    """
    length = len(payload) if announced is None else announced
    first = bytes([last << 7 | reserved << 4 | opcode])
    if length < 126:
        sized = bytes([0x80 | length])
    elif length < 1 << 16:
        sized = struct.pack(">BH", 0x80 | 126, length)
    else:
        sized = struct.pack(">BQ", 0x80 | 127, length)
    masked = bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(payload))
    return first + sized + _MASK + masked


def upgrade(port: int, extra: str = "") -> bytes:
    """The request; `extra` are further lines, each with its line end."""
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{extra}\r\n"
    ).encode()


class RawWebSocket:
    """Connected, unless the answer is another one than 101.

    Attributes:
        head: of the answer.
    """

    def __init__(self, port: int, extra: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), scaled(30))
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname="127.0.0.1")
        self.sock.sendall(upgrade(port, extra))
        self._reader = self.sock.makefile("rb")
        lines = []
        while (line := self._reader.readline()) not in (b"\r\n", b""):
            lines.append(line.decode())
        self.head = "".join(lines)

    def send(self, *frames: bytes) -> None:
        """Whether the other end still takes it or not."""
        with contextlib.suppress(OSError):
            self.sock.sendall(b"".join(frames))

    def say(self, **table: object) -> None:
        self.send(frame(TEXT, json.dumps(table).encode()))

    def receive(self) -> tuple[int, bytes]:
        """The next frame: opcode, payload. Raises EOFError or OSError at the end of the connection."""
        first, length = self._exactly(2)
        if length == 126:
            (length,) = struct.unpack(">H", self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._exactly(8))
        return first & 15, self._exactly(length)

    def closing_code(self) -> int | None:
        """Why the other end closes the connection; None if it does so without a word."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                opcode, payload = self.receive()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2])
        return None

    def close(self) -> None:
        self._reader.close()
        self.sock.close()

    def _exactly(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            raise EOFError
        return data


class Watcher:
    """Watches a stream, on a thread of its own, as a page does."""

    def __init__(self, port: int, stream: str) -> None:
        self._socket = RawWebSocket(port)
        self._changed = threading.Condition()
        self._frames = 0
        self._ended = False
        self._socket.say(type="subscribe", stream=stream)
        self._thread = threading.Thread(target=self._run, name="watcher")
        self._thread.start()

    def sees(self, frames: int) -> bool:
        """Whether so many further frames come over the same connection."""
        with self._changed:
            wanted = self._frames + frames
            self._changed.wait_for(lambda: self._frames >= wanted or self._ended, scaled(30))
            return self._frames >= wanted

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        received_bytes = 0
        try:
            while True:
                opcode, payload = self._socket.receive()
                if opcode == PING:
                    self._socket.send(frame(10, payload))
                if opcode != BINARY:
                    continue
                received_bytes += len(payload)
                self._socket.say(type="ack", bytes=received_bytes)
                with self._changed:
                    self._frames += 1
                    self._changed.notify_all()
        except (EOFError, OSError):
            with self._changed:
                self._ended = True
                self._changed.notify_all()
