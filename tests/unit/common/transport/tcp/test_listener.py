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
from fanlight.common.transport.tcp import acceptor, listener, sockets, wire
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
from tests.unit.common.transport.tcp.service import TITLE, Owner, Service

REQUEST = wire.control_message(CLOCK_REQUEST)


def gone(peer: Peer) -> None:
    peer.sock.close()


def reset(peer: Peer) -> None:
    """End a connection as a process that is killed may do."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


# Coming in -----------------------------------------------------------------------------------------------


def test_a_client_with_a_hello_is_admitted(service: Service) -> None:
    _, client = service.join()
    assert (client.handshake.name, client.handshake.follows) == (NAME, True)
    assert client.peer.startswith(f"{LOOPBACK}:")
    assert not client.closing
    assert service.admitted_clients == [client]
    assert service.owner.quiet
    assert client.sock.gettimeout() is None, "sender threads wait in it; the listener alone does not"
    assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_messages_of_clients_are_handed_on(service: Service) -> None:
    peer, client = service.join()
    before_ns = wall_ns()
    peer.send(follow(False))
    assert service.owner.expect("follow") is False
    peer.send(REQUEST + wire.control_message(KEYFRAME_REQUEST) + follow(True))
    about: Any = service.owner.expect("clock")
    assert about[:2] == (client, CLOCK_REQUEST)
    assert before_ns <= about[2] <= wall_ns()
    assert service.owner.expect("control") == KEYFRAME_REQUEST
    assert service.owner.expect("follow") is True


def test_everything_happens_in_the_listeners_own_thread(service: Service) -> None:
    peer, _ = service.join()
    peer.send(REQUEST)
    service.owner.expect("clock")
    names: list[str] = []
    called = threading.Event()
    service.listener.call(lambda: names.append(threading.current_thread().name))
    service.listener.call(called.set)
    assert called.wait(scaled(15))
    gone(peer)
    service.owner.expect("disconnected")
    assert {*names, *service.owner.threads} == {TITLE}


# Going ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("go", [gone, reset])
def test_a_disconnected_client_is_reported_once(service: Service, go: Any) -> None:
    peer, client = service.join()
    go(peer)
    assert service.owner.expect("disconnected") is client
    assert service.admitted_clients == []
    wait_until(lambda: client.sock.fileno() == -1, 20, "its socket is closed")
    service.join()
    assert service.owner.quiet


def test_an_unidentified_client_that_disconnects_is_not_reported(service: Service) -> None:
    gone(service.connect())
    reset(service.connect(HELLO[:5]))
    service.join()
    assert service.owner.quiet


def test_a_client_can_be_disconnected_and_its_socket_takes_nothing_more() -> None:
    """A thread that waits in it goes on, and finds that out."""

    class Late(Owner):
        def on_disconnected(self, client: Client) -> None:
            with pytest.raises(BrokenPipeError):
                client.sock.send(b"too late")
            super().on_disconnected(client)

    with Service(Late()) as service:
        peer, client = service.join()
        for _ in range(2):
            service.listener.call(lambda: service.listener.disconnect(client))
        assert service.owner.expect("disconnected") is client
        assert peer.ended
        service.join()
        assert service.owner.quiet


# Sending -------------------------------------------------------------------------------------------------


def test_it_reports_when_a_client_takes_bytes_again(service: Service) -> None:
    peer, client = service.join()
    sent = 0
    try:
        while True:
            sent += client.sock.send(bytes(65536), socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    service.listener.call(lambda: service.listener.watch_writable(client, True))
    got = 0
    while got < sent:
        got += len(peer.sock.recv(1 << 20))
    assert service.owner.expect("writable") is client
    service.listener.call(lambda: service.listener.watch_writable(client, False))
    called = threading.Event()
    service.listener.call(called.set)
    assert called.wait(scaled(15))
    while not service.owner.quiet:
        service.owner.expect("writable")
    peer.send(REQUEST)
    service.owner.expect("clock")
    assert service.owner.quiet


# When there is no listener ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EADDRNOTAVAIL, "it is no address of this machine; 0.0.0.0 stands for all that it has"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_an_unusable_address_is_reported_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, owner: Owner, number: int, why: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "Permission denied")

    monkeypatch.setattr(sockets, "listen", refuse)
    service = Service(owner)
    service.listener.start()
    assert str(owner.expect("failed")) == f"{service.address}: cannot listen there: {why}"
    service.listener.stop(scaled(5))
    assert not service.open


def test_an_internal_error_is_reported_and_closes_the_listener(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Owner):
        def on_admitted(self, client: Client, *, follow: bool) -> None:
            raise ValueError("a bug")

    with Service(Clumsy()) as service:
        peer = service.connect(HELLO)
        error = service.owner.expect("failed")
        assert isinstance(error, FanlightError)
        assert str(error) == f"{TITLE}: internal error: ValueError('a bug')"
        assert peer.ended
        wait_until(lambda: not service.open, 20)
        assert is_free(service.port)
    assert "a bug" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_without_file_descriptors_it_waits_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, owner: Owner, caplog: pytest.LogCaptureFixture
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
    monkeypatch.setattr(acceptor, "_OUT_OF_FILES_S", 0.05)
    with Service(owner) as service:
        began_s = time.monotonic()
        service.join()
        assert time.monotonic() - began_s >= 3 * 0.05, "it did not look at once again"
        service.join()
    assert "no more connections: Too many open files" in caplog.text


# Closing -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_stopping_closes_all(service: Service) -> None:
    admitted, client = service.join()
    peer = service.connect(HELLO[:3])
    refused_one = service.connect(b"x")
    service.owner.expect("refused")
    service.listener.stop(scaled(5))
    assert not service.open
    assert service.owner.expect("disconnected") is client
    assert service.owner.quiet
    assert client.sock.fileno() == -1
    assert admitted.ended
    assert peer.ended
    refused_one.refusal()
    assert is_free(service.port)
    service.listener.stop(scaled(5))
    service.listener.call(lambda: None)


def test_stopping_does_not_wait_once_all_are_gone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_CLOSE_TIMEOUT_S", 600)
    gone(service.join()[0])
    service.owner.expect("disconnected")
    service.listener.stop(scaled(30))
    assert not service.open


def test_a_listener_that_was_never_started_can_be_stopped(owner: Owner) -> None:
    service = Service(owner)
    service.listener.stop(1)
    service.listener.stop(1)
    assert owner.quiet
