"""Many clients of a web server that only read: one process that connects N times and notes what came.

Of a wall each is a page: it subscribes to stream cam and acknowledges. Prints one line of JSON: frames that
came, and the age of a frame when the last byte was there. Then it only reads, until it is ended.

    python -m scripts.measure.web_drain http://127.0.0.1:8080/ws 100 10 [--stalled 3]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from fanlight.common.model.stats import percentile
from fanlight.consumer.wall.message import HEADER

_SETTLE_S: Final = 2.0
_READ_BYTES: Final = 64 * 1024
_ACK_S: Final = 0.1
_END_OF_PICTURE: Final = b"\xff\xd9\r\n"
_TEXT: Final = 1
_BINARY: Final = 2


class Client:
    """One connection. `frames` takes what was read, and gives the capture time of each frame (ns)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.sock = socket.create_connection((parts.hostname or "", parts.port or 80))
        self.sock.sendall(self._request(parts.netloc, parts.path))
        self.sock.setblocking(False)
        self.came = self.size_bytes = 0
        self.ages_ms: list[float] = []
        self._buffer = bytearray()
        self._answered = False

    def _request(self, host: str, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    def begin(self) -> None:
        """The answer is there."""

    def acknowledge(self) -> None:
        """Called ten times a second."""

    def frames(self, data: memoryview) -> Iterator[int]:
        self._buffer += data
        if not self._answered:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self._buffer[:20] and b" 200 " not in self._buffer[:20]:
                raise SystemExit(f"web_drain: {bytes(self._buffer[:end])!r}")
            del self._buffer[: end + 4]
            self._answered = True
            self.begin()
        yield from self._parsed()

    def _parsed(self) -> Iterator[int]:
        """Of MJPEG: parts are counted by the ends of their pictures; what frames them differs."""
        parts = self._buffer.count(_END_OF_PICTURE)
        if parts:
            del self._buffer[: self._buffer.rfind(_END_OF_PICTURE) + len(_END_OF_PICTURE)]
        yield from [0] * parts


class Page(Client):
    """A page of the wall."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._received = 0

    def _request(self, host: str, path: str) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode()
        return (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()

    def begin(self) -> None:
        self._say({"type": "subscribe", "stream": "cam", "as": "frames"})

    def acknowledge(self) -> None:
        if self._received:
            self._say({"type": "ack", "bytes": self._received})

    def _say(self, message: dict[str, object]) -> None:
        body = json.dumps(message).encode()
        # Masked with zeros: the body is as it is.
        self.sock.send(bytes([0x80 | _TEXT, 0x80 | len(body), 0, 0, 0, 0]) + body)

    def _parsed(self) -> Iterator[int]:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 10:
            length, body = buffer[at + 1], at + 2
            if length == 126:
                length, body = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, body = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < body + length:
                break
            if buffer[at] & 15 == _BINARY:
                self._received += length
                yield HEADER.unpack_from(buffer, body)[6] * 1000
            at = body + length
        del buffer[:at]


def main() -> None:
    parser = argparse.ArgumentParser(prog="web_drain")
    parser.add_argument("url")
    parser.add_argument("clients", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--stalled", type=int, default=0)
    arguments = parser.parse_args()
    make = Page if arguments.url.endswith("/ws") else Client
    selector = selectors.DefaultSelector()
    clients = []
    for number in range(arguments.clients):
        clients.append(make(arguments.url))
        selector.register(clients[-1].sock, selectors.EVENT_READ, clients[-1])
        if number % 40 == 39:
            time.sleep(0.2)  # a gateway limits how fast connections come
    stalled = [_stall(arguments.url) for _ in range(arguments.stalled)]
    began_s = next_ack_s = time.monotonic()
    buffer = bytearray(_READ_BYTES)
    view = memoryview(buffer)
    while (now_s := time.monotonic()) < began_s + _SETTLE_S + arguments.seconds:
        measured = now_s >= began_s + _SETTLE_S
        for client, size_bytes in _read(selector, buffer):
            client.size_bytes += size_bytes if measured else 0
            for captured_ns in client.frames(view[:size_bytes]):
                if measured:
                    client.came += 1
                    if captured_ns:
                        client.ages_ms.append((time.time_ns() - captured_ns) / 1e6)
        if now_s >= next_ack_s:
            next_ack_s = now_s + _ACK_S
            for client in clients:
                client.acknowledge()
    fps = [client.came / arguments.seconds for client in clients]
    ages_ms = [age for client in clients for age in client.ages_ms]
    worst = [percentile(client.ages_ms, 0.99) for client in clients if client.ages_ms]
    figures = {
        "fps_worst": min(fps),
        "fps_best": max(fps),
        "mb_per_s": sum(client.size_bytes for client in clients) / arguments.seconds / 1e6,
        "age_p50_ms": percentile(ages_ms, 0.5),
        "age_p99_ms": percentile(ages_ms, 0.99),
        "worst_age_p99_ms": max((age for age in worst if age is not None), default=None),
        "stalled": len(stalled),
    }
    print(json.dumps(figures), flush=True)
    while True:
        for client, size_bytes in _read(selector, buffer):
            for _ in client.frames(view[:size_bytes]):
                pass


def _read(selector: selectors.BaseSelector, buffer: bytearray) -> Iterator[tuple[Client, int]]:
    """Each client that something came for, with its size in the buffer."""
    for key, _ in selector.select(_ACK_S):
        client: Client = key.data
        size_bytes = client.sock.recv_into(buffer)
        if not size_bytes:
            raise SystemExit("web_drain: the server ended a connection")
        yield client, size_bytes


def _stall(url: str) -> socket.socket:
    """A client that subscribes, and reads nothing."""
    page = Page(url)
    page.begin()
    return page.sock


if __name__ == "__main__":
    main()
