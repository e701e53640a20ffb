"""On pika's own loop and transport, over a pair of sockets: what a connection of pika learns, and when."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pika.adapters.select_connection import IOLoop
from pika.data import decode_value

from fanlight.common.model.errors import FanlightError
from fanlight.common.transport.amqp.io_services import IOServices, Transport
from tests.unit.common.transport.amqp.build import Protocol, run_once, run_until


class Scene:
    """A linked-up transport, and the peer's end of the line."""

    def __init__(self) -> None:
        self.loop = IOLoop()
        self.services = IOServices(self.loop)
        self.result: Any = None
        sock = socket.socket()
        sock.setblocking(False)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.services.connect_socket(sock, listening.getsockname(), partial(self._connected, sock))
            run_until(self.loop, lambda: self.result)
            self.peer, _ = listening.accept()
        self.peer.settimeout(5)

    def _connected(self, sock: socket.socket, error: BaseException | None) -> None:
        assert error is None
        self.services.create_streaming_connection(Protocol, sock, partial(setattr, self, "result"))

    @property
    def transport(self) -> Transport:
        assert self.services.transport is not None
        return self.services.transport

    @property
    def connection(self) -> Protocol:
        assert isinstance(self.transport.connection, Protocol)
        return self.transport.connection

    def until_lost(self) -> None:
        run_until(self.loop, lambda: self.connection.lost)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.peer.close()
    made.services.close_attempt()
    made.loop.close()


def test_pika_gets_its_own_connection_and_all_that_comes(scene: Scene) -> None:
    _, protocol = scene.result
    assert protocol is scene.connection
    assert scene.services.peer == "127.0.0.1"
    for data, received in ((b"first", b"first"), (b"second", b"firstsecond")):
        scene.peer.sendall(data)
        run_until(scene.loop, lambda received=received: scene.connection.received == received)  # type: ignore[misc]
    assert scene.transport.first == b"first", "it is noted"


def test_what_the_system_does_not_take_is_counted(scene: Scene) -> None:
    assert scene.transport.unsent_bytes == 0
    assert scene.connection.transport is not None
    scene.connection.transport.write(b"x" * 50_000_000)
    run_once(scene.loop)
    assert 0 < scene.transport.unsent_bytes < 50_000_000


def test_a_connection_that_is_given_up_is_lost_with_the_reason(scene: Scene) -> None:
    reason = FanlightError("no answer")
    scene.transport.give_up(reason)
    scene.transport.give_up(FanlightError("again"))
    scene.until_lost()
    assert scene.connection.lost == [reason]
    assert scene.transport.cause is reason
    assert not scene.transport.unreadable
    assert scene.peer.recv(1) == b""


def test_what_pika_cannot_parse_ends_the_connection_with_the_error(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.connection, "data_received", partial(decode_value, b"T"))
    scene.peer.sendall(b"hostile")
    scene.until_lost()
    assert scene.transport.unreadable
    assert isinstance(scene.transport.cause, TypeError)
    assert scene.connection.lost == [scene.transport.cause]


def test_an_error_of_our_own_is_not_taken_for_one_of_pikas(scene: Scene) -> None:
    scene.peer.sendall(b"bug")
    with pytest.raises(OverflowError, match="in a callback of ours"):
        scene.until_lost()
    assert not scene.transport.unreadable


@pytest.mark.parametrize("orderly", [True, False])
def test_the_end_of_the_line_has_the_cause_that_the_system_reports(scene: Scene, orderly: bool) -> None:
    if not orderly:
        scene.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    scene.peer.close()
    scene.until_lost()
    cause = scene.transport.cause
    assert scene.connection.lost == [cause]
    assert scene.connection.ended is orderly
    assert cause is None if orderly else isinstance(cause, ConnectionResetError)


def test_an_attempt_that_is_abandoned_is_closed_without_a_word_to_pika(scene: Scene) -> None:
    scene.transport.detach(FanlightError("stopped"))
    run_once(scene.loop)
    assert scene.peer.recv(1) == b""
    assert scene.connection.lost == []


def test_a_socket_that_never_got_that_far_is_closed_too() -> None:
    loop = IOLoop()
    services = IOServices(loop)
    sock = socket.socket()
    sock.setblocking(False)
    services.connect_socket(sock, ("127.0.0.1", 9), lambda _error: None)
    services.close_attempt()
    loop.close()
    assert sock.fileno() == -1
