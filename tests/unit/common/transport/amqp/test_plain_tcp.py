"""Over a pair of sockets and pika's own loop; what pika learns is in test_io_services.py."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

from fanlight.common.transport.amqp.plain_tcp import PlainTcpTransport
from tests.unit.common.transport.amqp.build import Protocol, run_once, run_until

BIG = bytes(range(256)) * 40_000


class Scene:
    """One end is a transport, the other the peer's socket."""

    def __init__(self) -> None:
        self.ours, self.peer = socket.socketpair()
        self.ours.setblocking(False)
        self.peer.settimeout(5)
        self.loop = IOLoop()
        self.protocol = Protocol()
        self.transport = PlainTcpTransport(SelectorIOServicesAdapter(self.loop), self.ours, self.protocol)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.peer.close()
    made.ours.close()
    made.loop.close()


def test_what_there_is_comes_in_one_piece(scene: Scene) -> None:
    scene.peer.sendall(b"x" * 20_000)
    run_until(scene.loop, lambda: scene.protocol.pieces)
    assert scene.protocol.pieces == [b"x" * 20_000]


def test_what_the_system_takes_is_sent_at_once_and_the_rest_in_order_later(scene: Scene) -> None:
    scene.transport.write(b"abc")
    assert scene.transport.get_write_buffer_size() == 0
    assert scene.peer.recv(10) == b"abc"
    scene.transport.write(BIG)
    scene.transport.write(b"end")
    assert 0 < scene.transport.get_write_buffer_size() < len(BIG)
    received = b""
    while len(received) < len(BIG) + 3:
        run_once(scene.loop)
        received += scene.peer.recv(1_000_000)
    assert received == BIG + b"end"
    assert scene.transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("end", ["peer", "abort", "write"])
def test_it_ends_once_and_reports_it_later(scene: Scene, end: str) -> None:
    if end == "abort":
        scene.transport.abort()
        scene.transport.abort()
    else:
        scene.peer.close()
    if end == "write":
        scene.transport.write(b"to nobody")
    assert scene.protocol.lost == []
    run_until(scene.loop, lambda: scene.protocol.lost)
    (error,) = scene.protocol.lost
    assert isinstance(error, BrokenPipeError) is (end == "write")
    assert scene.ours.fileno() == -1
    scene.transport.write(b"too late")
    scene.transport.abort()
    run_once(scene.loop)
    assert len(scene.protocol.lost) == 1
