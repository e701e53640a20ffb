"""The wire of the designs without a broker, from outside: struct, json and sockets, nothing of ours.

A message is a prefix of 12 bytes (magic, version, kind, bytes of the JSON object, bytes of the body), the
JSON object and the body.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from tests.support.timing import scaled, wait_until

PREFIX: Final = struct.Struct(">2sBBII")
HELLO, WELCOME, REFUSAL, FRAME, CONTROL, FOLLOW = range(1, 7)
_PATIENCE_S: Final = 15
_RESET: Final = struct.pack("ii", 1, 0)


class Message(NamedTuple):
    kind: int
    table: dict[str, Any]
    body: bytes


def packed(kind: int, table: object, body: bytes = b"") -> bytes:
    """A message; a `table` of bytes is taken for the JSON text, whatever it is."""
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return PREFIX.pack(b"FL", 1, kind, len(text), len(body)) + text + body


def hello(stream: str, name: str = "raw", *, follow: bool = True) -> bytes:
    return packed(HELLO, {"stream": stream, "name": name, "follow": follow})


def control(kind: str, stream: str, **fields: object) -> bytes:
    body = {"v": 1, "stream": stream, "name": "raw", **fields}
    return packed(CONTROL, {"type": kind}, json.dumps(body).encode())


def place(url: str) -> tuple[str, int]:
    """Host and port of `tcp+DESIGN://HOST:PORT`."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


class Wire:
    """One end of a connection, blocking; gives up after a while.

    Args:
        sock: connected; closed with this.
    """

    def __init__(self, sock: socket.socket, patience_s: float | None = _PATIENCE_S) -> None:
        self.sock = sock
        sock.settimeout(None if patience_s is None else scaled(patience_s))
        self._file = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self) -> Message:
        """The next message.

        Raises:
            EOFError: the other side ended the connection.
        """
        magic, version, kind, header_size, body_size = PREFIX.unpack(self._exactly(PREFIX.size))
        assert (magic, version) == (b"FL", 1)
        return Message(kind, json.loads(self._exactly(header_size)), self._exactly(body_size))

    def ended(self) -> bool:
        """True once the other side has ended the connection, orderly or not; skips what still comes."""
        try:
            while self._file.read1(1 << 16):
                pass
        except ConnectionError:
            pass
        return True

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError
        return data


class RawClient(Wire):
    """A client of a producer that says what a test tells it to.

    Args:
        stream: says hello for it, and expects the welcome; None: says nothing.
        receive_bytes: of the socket's buffer; what does not fit there waits at the producer.
    """

    def __init__(
        self,
        url: str,
        stream: str | None = None,
        name: str = "raw",
        *,
        follow: bool = True,
        receive_bytes: int | None = None,
    ) -> None:
        super().__init__(_connected(url, receive_bytes))
        if stream is not None:
            self.send(hello(stream, name, follow=follow))
            assert self.read().kind == WELCOME

    def frame(self) -> Message:
        """The next frame; nothing else was asked for."""
        message = self.read()
        assert message.kind == FRAME
        return message

    def abort(self) -> None:
        """End the connection at once, without a goodbye (RST)."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()


def _connected(url: str, receive_bytes: int | None) -> socket.socket:
    """A connection to a producer, which may have been started just now."""
    connected: list[socket.socket] = []

    def connects() -> bool:
        sock = socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        try:
            sock.connect(place(url))
        except ConnectionRefusedError:
            sock.close()
            return False
        connected.append(sock)
        return True

    wait_until(connects, 10, f"somebody listens at {url}")
    return connected[0]
