from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from typing import Any

import pytest

from fanlight.common.clock import wall_ns
from fanlight.common.model.errors import FanlightError
from fanlight.common.transport.tcp import listener, sockets, wire
from fanlight.common.transport.tcp.listener import Client
from scripts.lib.ports import LOOPBACK, is_free
from tests.support.timing import scaled, wait_until
from tests.unit.common.transport.tcp.build import (
    CLOCK_REQUEST,
    HELLO,
    KEYFRAME_REQUEST,
    NAME,
    Peer,
    follow,
)
from tests.unit.common.transport.tcp.desk import TITLE, Desk, House

REQUEST = wire.control_message(CLOCK_REQUEST)


def gone(peer: Peer) -> None:
    peer.sock.close()


def reset(peer: Peer) -> None:
    """End a connection as a process that is killed may do."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


# Coming in -----------------------------------------------------------------------------------------------


def test_who_says_hello_is_admitted(house: House) -> None:
    _, client = house.enter()
    assert (client.visitor.name, client.visitor.follows) == (NAME, True)
    assert client.peer.startswith(f"{LOOPBACK}:")
    assert not client.leaving
    assert house.inside == [client]
    assert house.desk.quiet


def test_its_socket_blocks_and_is_tuned(house: House) -> None:
    """Sender threads wait in it; the door alone does not."""
    _, client = house.enter()
    assert client.sock.gettimeout() is None
    assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_what_clients_say_is_handed_on(house: House) -> None:
    peer, client = house.enter()
    before_ns = wall_ns()
    peer.send(follow(False))
    assert house.desk.expect("follow") is False
    peer.send(REQUEST + wire.control_message(KEYFRAME_REQUEST) + follow(True))
    about: Any = house.desk.expect("clock")
    assert about[:2] == (client, CLOCK_REQUEST)
    assert before_ns <= about[2] <= wall_ns()
    assert house.desk.expect("control") == KEYFRAME_REQUEST
    assert house.desk.expect("follow") is True


def test_everything_happens_in_the_doors_own_thread(house: House) -> None:
    peer, _ = house.enter()
    peer.send(REQUEST)
    house.desk.expect("clock")
    names: list[str] = []
    called = threading.Event()
    house.door.call(lambda: names.append(threading.current_thread().name))
    house.door.call(called.set)
    assert called.wait(scaled(5))
    gone(peer)
    house.desk.expect("left")
    assert {*names, *house.desk.threads} == {TITLE}


# Going ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("go", [gone, reset])
def test_who_goes_is_told_once(house: House, go: Any) -> None:
    peer, client = house.enter()
    go(peer)
    assert house.desk.expect("left") is client
    assert house.inside == []
    wait_until(lambda: client.sock.fileno() == -1, 5, "its socket is closed")
    house.enter()
    assert house.desk.quiet


def test_a_stranger_that_goes_is_nobody(house: House) -> None:
    gone(house.knock())
    reset(house.knock(HELLO[:5]))
    house.enter()
    assert house.desk.quiet


def test_the_socket_of_one_that_left_takes_nothing_more() -> None:
    """A thread that waits in it goes on, and finds that out."""

    class Late(Desk):
        errors: list[OSError] = []

        def on_left(self, client: Client) -> None:
            try:
                client.sock.send(b"too late")
            except OSError as error:
                self.errors.append(error)
            super().on_left(client)

    desk = Late()
    with House(desk) as house:
        _, client = house.enter()
        house.door.call(lambda: house.door.leave(client))
        assert desk.expect("left") is client
        (error,) = desk.errors
        assert isinstance(error, BrokenPipeError)


def test_a_client_can_be_sent_away(house: House) -> None:
    peer, client = house.enter()
    house.door.call(lambda: house.door.leave(client))
    house.door.call(lambda: house.door.leave(client))
    assert house.desk.expect("left") is client
    assert peer.ended
    house.enter()
    assert house.desk.quiet


# Sending -------------------------------------------------------------------------------------------------


def test_it_says_when_a_client_takes_bytes_again(house: House) -> None:
    peer, client = house.enter()
    sent = 0
    try:
        while True:
            sent += client.sock.send(bytes(65536), socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    house.door.call(lambda: house.door.watch_writable(client, True))
    got = 0
    while got < sent:
        got += len(peer.sock.recv(1 << 20))
    assert house.desk.expect("writable") is client
    house.door.call(lambda: house.door.watch_writable(client, False))
    called = threading.Event()
    house.door.call(called.set)
    assert called.wait(scaled(5))
    while not house.desk.quiet:
        house.desk.expect("writable")
    peer.send(REQUEST)
    house.desk.expect("clock")
    assert house.desk.quiet


# When there is no door -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EADDRNOTAVAIL, "it is no address of this machine; 0.0.0.0 stands for all that it has"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, number: int, why: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "Permission denied")

    monkeypatch.setattr(sockets, "listen", refuse)
    house = House(desk)
    house.door.start()
    assert str(desk.expect("failed")) == f"{house.address}: cannot listen there: {why}"
    house.door.stop(scaled(5))
    assert not house.open


def test_an_error_of_our_own_is_told_and_the_door_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Desk):
        def on_admitted(self, client: Client, *, follow: bool) -> None:
            raise ValueError("a bug")

    with House(Clumsy()) as house:
        peer = house.knock(HELLO)
        error = house.desk.expect("failed")
        assert isinstance(error, FanlightError)
        assert str(error) == f"{TITLE}: internal error: ValueError('a bug')"
        assert peer.ended
        wait_until(lambda: not house.open, 5)
        assert is_free(house.port)
    assert "a bug" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_without_file_descriptors_it_waits_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    class Scarce(socket.socket):
        refusals = 3

        def accept(self) -> tuple[socket.socket, Any]:
            if self.refusals:
                self.refusals -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    def listen(host: str, port: int, backlog: int) -> list[socket.socket]:
        sock = Scarce()
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(backlog)
        return [sock]

    monkeypatch.setattr(sockets, "listen", listen)
    monkeypatch.setattr(listener, "_OUT_OF_FILES_S", 0.05)
    with House(desk) as house:
        began_s = time.monotonic()
        house.enter()
        assert time.monotonic() - began_s >= 3 * 0.05, "it did not look at once again"
        house.enter()
    assert "no more connections: Too many open files" in caplog.text


# Closing -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_stopping_closes_all(house: House) -> None:
    peer, client = house.enter()
    stranger = house.knock(HELLO[:3])
    refused_one = house.knock(b"x")
    house.desk.expect("refused")
    house.door.stop(scaled(5))
    assert not house.open
    assert house.desk.expect("left") is client
    assert house.desk.quiet
    assert client.sock.fileno() == -1
    assert peer.ended
    assert stranger.ended
    refused_one.refusal()
    assert is_free(house.port)
    house.door.stop(scaled(5))
    house.door.call(lambda: None)


def test_stopping_does_not_wait_once_all_are_gone(house: House) -> None:
    peer, _ = house.enter()
    gone(peer)
    house.desk.expect("left")
    began_s = time.monotonic()
    house.door.stop(scaled(5))
    assert time.monotonic() - began_s < listener._LEAVE_S
    assert not house.open


def test_a_door_that_was_never_open_can_be_closed(desk: Desk) -> None:
    house = House(desk)
    house.door.stop(1)
    house.door.stop(1)
    assert desk.quiet
