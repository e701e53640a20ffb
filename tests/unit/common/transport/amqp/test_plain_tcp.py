"""Over a pair of sockets and pika's own loop; what a protocol is told is in test_transport.py."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractStreamProtocol
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

from fanlight.common.transport.amqp.plain_tcp import PlainTcpTransport

BIG = bytes(range(256)) * 40_000


class Protocol(AbstractStreamProtocol):
    """Takes down what comes, piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.lost: list[BaseException | None] = []

    def connection_made(self, transport: object) -> None:
        pass

    def connection_lost(self, error: BaseException | None) -> None:
        self.lost.append(error)

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)


class Scene:
    """One end is a transport, the other the peer's socket."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.peer.settimeout(5)
        self.ours = ours
        self.loop = IOLoop()
        self.protocol = Protocol()
        self.transport = PlainTcpTransport(SelectorIOServicesAdapter(self.loop), ours, self.protocol)

    def turn(self, delay_s: float = 0.02) -> None:
        self.loop.call_later(delay_s, self.loop.stop)
        self.loop.start()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.peer.close()
    made.ours.close()
    made.loop.close()


def test_what_there_is_comes_in_one_piece(scene: Scene) -> None:
    scene.peer.sendall(b"x" * 20_000)
    scene.turn()
    assert scene.protocol.pieces == [b"x" * 20_000]


def test_what_the_system_takes_is_sent_at_once(scene: Scene) -> None:
    scene.transport.write(b"abc")
    assert scene.transport.get_write_buffer_size() == 0
    assert scene.peer.recv(10) == b"abc"


def test_what_it_does_not_take_is_sent_in_order_when_there_is_room(scene: Scene) -> None:
    scene.transport.write(BIG)
    scene.transport.write(b"end")
    assert 0 < scene.transport.get_write_buffer_size() < len(BIG)
    received = b""
    while len(received) < len(BIG) + 3:
        scene.turn(0.001)
        received += scene.peer.recv(1_000_000)
    assert received == BIG + b"end"
    assert scene.transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("end", ["peer", "abort", "write"])
def test_it_ends_once_and_says_so_later(scene: Scene, end: str) -> None:
    if end == "abort":
        scene.transport.abort()
        scene.transport.abort()
    else:
        scene.peer.close()
    if end == "write":
        scene.transport.write(b"to nobody")
    assert scene.protocol.lost == []
    scene.turn()
    (error,) = scene.protocol.lost
    assert isinstance(error, BrokenPipeError) is (end == "write")
    assert scene.ours.fileno() == -1
    scene.transport.write(b"too late")
    scene.transport.abort()
    scene.turn()
    assert len(scene.protocol.lost) == 1
