"""On pika's own loop and transport, over a pair of sockets: what a connection of pika is told, and when."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractStreamProtocol, AbstractStreamTransport
from pika.data import decode_value

from fanlight.common.model.errors import FanlightError
from fanlight.common.transport.amqp.io_services import IOServices, Transport


class Connection(AbstractStreamProtocol):
    """Stands for pika's connection: takes down what it is told."""

    def __init__(self) -> None:
        self.transport: AbstractStreamTransport | None = None
        self.received = b""
        self.lost: list[BaseException | None] = []
        self.ended = False

    def connection_made(self, transport: AbstractStreamTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: BaseException | None) -> None:
        self.lost.append(error)

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def data_received(self, data: bytes) -> None:
        if data == b"bug":
            raise OverflowError("in a callback of ours")
        self.received += data


class Scene:
    """A linked-up transport, and the peer's end of the line."""

    def __init__(self) -> None:
        self.loop = IOLoop()
        self.services = IOServices(self.loop)
        listening = socket.create_server(("127.0.0.1", 0))
        sock = socket.socket()
        sock.setblocking(False)
        self.services.connect_socket(
            sock, listening.getsockname(), lambda error: self._connected(sock, error)
        )
        self.result: Any = None
        self.loop.start()
        self.peer, _ = listening.accept()
        listening.close()
        self.peer.settimeout(5)

    def _connected(self, sock: socket.socket, error: BaseException | None) -> None:
        assert error is None
        self.services.create_streaming_connection(Connection, sock, self._linked)

    def _linked(self, result: Any) -> None:
        self.result = result
        self.loop.stop()

    @property
    def transport(self) -> Transport:
        assert self.services.transport is not None
        return self.services.transport

    @property
    def connection(self) -> Connection:
        assert isinstance(self.transport.connection, Connection)
        return self.transport.connection

    def turn(self, delay_s: float = 0.05) -> None:
        self.loop.call_later(delay_s, self.loop.stop)
        self.loop.start()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.peer.close()
    made.services.close_attempt()
    made.loop.close()


def test_pika_gets_its_own_connection_back(scene: Scene) -> None:
    _, protocol = scene.result
    assert protocol is scene.connection
    assert scene.services.peer == "127.0.0.1"


def test_what_comes_is_passed_on_and_the_first_of_it_is_noted(scene: Scene) -> None:
    scene.peer.sendall(b"first")
    scene.turn()
    scene.peer.sendall(b"second")
    scene.turn()
    assert scene.connection.received == b"firstsecond"
    assert scene.transport.first == b"first"


def test_what_the_system_does_not_take_is_counted(scene: Scene) -> None:
    assert scene.transport.unsent_bytes == 0
    assert scene.connection.transport is not None
    scene.connection.transport.write(b"x" * 50_000_000)
    scene.turn()
    assert 0 < scene.transport.unsent_bytes < 50_000_000


def test_a_connection_that_is_given_up_is_lost_with_the_reason(scene: Scene) -> None:
    reason = FanlightError("no answer")
    scene.transport.give_up(reason)
    scene.transport.give_up(FanlightError("again"))
    scene.turn()
    assert scene.connection.lost == [reason]
    assert scene.transport.cause is reason
    assert not scene.transport.unreadable
    assert scene.peer.recv(1) == b""


def test_what_pika_cannot_parse_ends_the_connection_with_the_error(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.connection, "data_received", partial(decode_value, b"T"))
    scene.peer.sendall(b"hostile")
    scene.turn()
    assert scene.transport.unreadable
    assert isinstance(scene.transport.cause, TypeError)
    assert scene.connection.lost == [scene.transport.cause]


def test_an_error_of_our_own_is_not_taken_for_one_of_pikas(scene: Scene) -> None:
    scene.peer.sendall(b"bug")
    with pytest.raises(OverflowError, match="in a callback of ours"):
        scene.turn()
    assert not scene.transport.unreadable


def test_the_end_of_the_line_is_told_with_what_the_system_says(scene: Scene) -> None:
    scene.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    scene.peer.close()
    scene.turn()
    assert isinstance(scene.transport.cause, ConnectionResetError)
    assert scene.connection.lost == [scene.transport.cause]


def test_an_orderly_end_has_no_cause(scene: Scene) -> None:
    scene.peer.close()
    scene.turn()
    assert scene.connection.ended
    assert scene.connection.lost == [None]
    assert scene.transport.cause is None


def test_an_attempt_that_is_abandoned_is_closed_and_pika_hears_nothing(scene: Scene) -> None:
    scene.transport.detach(FanlightError("stopped"))
    scene.turn()
    assert scene.connection.lost == []
    assert scene.peer.recv(1) == b""


def test_a_socket_that_never_got_that_far_is_closed_too() -> None:
    loop = IOLoop()
    services = IOServices(loop)
    sock = socket.socket()
    sock.setblocking(False)
    services.connect_socket(sock, ("127.0.0.1", 9), lambda _error: None)
    services.close_attempt()
    loop.close()
    assert sock.fileno() == -1
