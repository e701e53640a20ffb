"""Says the same thing many thousand times a second, past our own code."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from typing import Final, Self
from urllib.parse import urlsplit

from pika import amqp_object, frame, spec

from tests.support.tcp_wire import RawClient, control
from tests.support.timing import scaled

CONTROL_EXCHANGE: Final = "fanlight.control"
_CHANNEL: Final = 1
_STEP_S: Final = 0.01
# What a busy machine, or the other side, has kept from being sent: no more of it at once than this.
_MOST_AT_ONCE: Final = 1000


class Flood:
    """Sends from a thread of its own while it is entered, until the other side ends it.

    Args:
        sock: connected.
        messages: sent in turn.
        per_s: of them.

    Attributes:
        sent: messages so far.
        ended: True if the other side would not have any more.
    """

    def __init__(self, sock: socket.socket, messages: list[bytes], per_s: int) -> None:
        self.sent = 0
        self.ended = False
        self._sock = sock
        self._messages = messages
        self._per_s = per_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flood", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._sock.close()

    def _run(self) -> None:
        began_s = time.monotonic()
        messages = self._messages
        try:
            while not self._stopping.wait(_STEP_S):
                due = min(int((time.monotonic() - began_s) * self._per_s) - self.sent, _MOST_AT_ONCE)
                at = self.sent % len(messages)
                self._sock.sendall(b"".join(messages[(at + i) % len(messages)] for i in range(due)))
                self.sent += due
        except OSError:
            self.ended = not self._stopping.is_set()


def keyframe_request(stream: str, name: str = "flood") -> dict[str, object]:
    return {"v": 1, "stream": stream, "name": name, "reason": "gap"}


def receiver_report(stream: str, name: str) -> dict[str, object]:
    numbers = ("epoch", "highest_seq", "received", "lost", "presented", "late")
    times = ("age_p50_ms", "age_p99_ms", "jitter_ms", "playout_skew_ms")
    return {"v": 1, "stream": stream, "name": name, **dict.fromkeys((*numbers, *times), 0)}


def broker_flood(
    url: str,
    stream: str,
    kind: str,
    bodies: list[dict[str, object]],
    per_s: int,
    exchange: str = CONTROL_EXCHANGE,
) -> Flood:
    """Of control messages, or of others, from one more client of the broker."""
    messages = []
    for body in bodies:
        text = json.dumps(body).encode()
        parts = (
            frame.Method(_CHANNEL, spec.Basic.Publish(exchange=exchange, routing_key=stream)),
            frame.Header(_CHANNEL, len(text), spec.BasicProperties(type=kind, app_id="fanlight")),
            frame.Body(_CHANNEL, text),
        )
        messages.append(b"".join(part.marshal() for part in parts))
    return Flood(_logged_in(url), messages, per_s)


def _logged_in(url: str) -> socket.socket:
    """A connection to a broker with one open channel, whose socket is ours: pika keeps its own."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname, parts.port), scaled(10))
    login = f"\0{parts.username}\0{parts.password}"
    steps = (
        b"AMQP\0\0\x09\x01",
        _method(0, spec.Connection.StartOk(client_properties={}, response=login)),
        _method(0, spec.Connection.TuneOk(channel_max=1, frame_max=131072, heartbeat=0))
        + _method(0, spec.Connection.Open(virtual_host=parts.path[1:])),
        _method(_CHANNEL, spec.Channel.Open()),
    )
    for step in steps:
        sock.sendall(step)
        size = struct.unpack(">BHI", sock.recv(7, socket.MSG_WAITALL))[2]
        sock.recv(size + 1, socket.MSG_WAITALL)
    sock.settimeout(None)
    return sock


def _method(channel: int, method: amqp_object.Method) -> bytes:
    return bytes(frame.Method(channel, method).marshal())


def tcp_flood(url: str, stream: str, per_s: int) -> Flood:
    """Of keyframe requests, from one more client of a producer that listens."""
    client = RawClient(url, stream, follow=False)
    return Flood(client.sock, [control("keyframe_request", stream, reason="gap")], per_s)
