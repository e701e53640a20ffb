"""Logs in to an AMQP 0-9-1 broker and out again: the one sure sign that it is ready.

Standard library only, because `scripts/broker` runs before pika is installed.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

_START, _START_OK = (10, 10), (10, 11)
_TUNE, _TUNE_OK = (10, 30), (10, 31)
_OPEN, _OPEN_OK = (10, 40), (10, 41)
_CLOSE = (10, 50)
_FRAME_END: Final = 0xCE
_MAX_METHOD_BYTES: Final = 1 << 20


class NotReady(ConnectionError):
    """The peer is not, or not yet, a broker that accepts this user."""


class Refused(NotReady):
    """The broker refused: waiting will not help."""


def login(host: str, port: int, user: str, password: str, vhost: str, *, timeout_s: float = 5.0) -> None:
    """Return if `user` can open `vhost`.

    Raises:
        NotReady: nothing there, not a broker, or it refused.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as peer:
            _handshake(peer, user, password, vhost)
    except NotReady:
        raise
    except OSError as error:
        raise NotReady(f"{host}:{port}: {error.strerror or error}") from None


def _handshake(peer: socket.socket, user: str, password: str, vhost: str) -> None:
    peer.sendall(b"AMQP\x00\x00\x09\x01")
    _expect(peer, _START)
    # Without this capability the broker answers a wrong password by hanging up, with no reason given.
    close_politely = _short("authentication_failure_close") + b"t\x01"
    properties = _short("capabilities") + b"F" + _long(close_politely)
    secret = f"\0{user}\0{password}".encode()
    _send(peer, _START_OK, _long(properties) + _short("PLAIN") + _long(secret) + _short("en_US"))
    channels, frame_max, _heartbeat = struct.unpack(">HIH", _expect(peer, _TUNE)[:8])
    _send(peer, _TUNE_OK, struct.pack(">HIH", channels, frame_max, 0))
    _send(peer, _OPEN, _short(vhost) + _short("") + b"\x00")
    _expect(peer, _OPEN_OK)
    # Closes the connection, so that the broker does not log a client that vanished.
    _send(peer, _CLOSE, struct.pack(">H", 200) + _short("") + struct.pack(">HH", 0, 0))
    _method(peer)


def _expect(peer: socket.socket, wanted: tuple[int, int]) -> bytes:
    method, arguments = _method(peer)
    if method == _CLOSE:
        code, length = struct.unpack(">HB", arguments[:3])
        raise Refused(f"the broker refused: {code} {arguments[3 : 3 + length].decode(errors='replace')}")
    if method != wanted:
        raise NotReady(f"the peer does not speak AMQP 0-9-1: method {method} in place of {wanted}")
    return arguments


def _method(peer: socket.socket) -> tuple[tuple[int, int], bytes]:
    kind, _channel, size = struct.unpack(">BHI", _read(peer, 7))
    if kind != 1 or not 4 <= size <= _MAX_METHOD_BYTES:
        raise NotReady("the peer does not speak AMQP 0-9-1")
    payload = _read(peer, size + 1)
    if payload[-1] != _FRAME_END:
        raise NotReady("the peer does not speak AMQP 0-9-1")
    class_id, method_id = struct.unpack(">HH", payload[:4])
    return (class_id, method_id), payload[4:-1]


def _read(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = peer.recv(count - len(data))
        if not part:
            raise NotReady("the peer hung up during the login")
        data += part
    return data


def _send(peer: socket.socket, method: tuple[int, int], arguments: bytes) -> None:
    payload = struct.pack(">HH", *method) + arguments
    peer.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + bytes([_FRAME_END]))


def _short(text: str) -> bytes:
    return bytes([len(text.encode())]) + text.encode()


def _long(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
