from __future__ import annotations

import resource
import select
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from fanlight.common.transport import liveness
from fanlight.common.transport.tcp import sockets
from fanlight.common.transport.tcp.sockets import Waker
from scripts.lib.ports import LOOPBACK, free_ports, is_free
from tests.support.timing import scaled


@pytest.fixture
def waker() -> Iterator[Waker]:
    with closing(Waker()) as one:
        yield one


def rings(waker: Waker) -> bool:
    return bool(select.select([waker], [], [], 0)[0])


# The waker ------------------------------------------------------------------------------------------------


def test_a_poller_looks_up_when_it_rings_and_not_once_it_is_silenced(waker: Waker) -> None:
    assert not rings(waker)
    waker.wake()
    waker.wake()
    assert rings(waker)
    waker.clear()
    assert not rings(waker)


def test_waking_never_waits(waker: Waker) -> None:
    for _ in range(5_000):  # more than its buffer holds
        waker.wake()
    assert rings(waker)


def test_waking_after_close_does_nothing() -> None:
    waker = Waker()
    waker.close()
    waker.wake()
    waker.clear()
    waker.close()


# Listening -----------------------------------------------------------------------------------------------


def greeted(listening: socket.socket, place: tuple[str, int]) -> bool:
    """Whether who connects to `place` comes in there."""
    with socket.socket(listening.family) as sock:
        sock.settimeout(scaled(5))
        sock.connect(place)
        ready, _, _ = select.select([listening], [], [], scaled(5))
        if not ready:
            return False
        inside, _ = listening.accept()
        with inside:
            inside.sendall(b"x")
            return sock.recv(1) == b"x"


def test_listens_at_the_given_address() -> None:
    (port,) = free_ports(1)
    (listening,) = sockets.listen(LOOPBACK, port, 5)
    with listening:
        assert listening.getsockname() == (LOOPBACK, port)
        assert greeted(listening, (LOOPBACK, port))
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_listens_at_every_address_of_a_name() -> None:
    (port,) = free_ports(1)
    listening = sockets.listen("localhost", port, 5)
    try:
        expected = {one[4][0] for one in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
        assert {sock.getsockname()[0] for sock in listening} == expected
    finally:
        for sock in listening:
            sock.close()


def test_ipv6_does_not_take_the_place_of_ipv4() -> None:
    (port,) = free_ports(1)
    try:
        listening = sockets.listen("::", port, 5)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    try:
        assert is_free(port)
    finally:
        for sock in listening:
            sock.close()


def test_a_port_in_use_is_an_error_and_leaves_nothing_open() -> None:
    (port,) = free_ports(1)
    (listening,) = sockets.listen(LOOPBACK, port, 5)
    with listening, pytest.raises(OSError, match="in use"):
        sockets.listen(LOOPBACK, port, 5)  # a socket left open would be a ResourceWarning, an error here
    (again,) = sockets.listen(LOOPBACK, port, 5)
    again.close()


def test_a_port_can_be_listened_at_again_at_once() -> None:
    (port,) = free_ports(1)
    for _ in range(2):
        (listening,) = sockets.listen(LOOPBACK, port, 5)
        with listening, socket.create_connection((LOOPBACK, port)) as sock:
            inside, _ = listening.accept()
            inside.close()  # the first to close lingers in TIME_WAIT
            assert sock.recv(1) == b""


# Tuning --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent_ms", [liveness.SILENT_MS, sockets.CLIENT_TIMEOUT_MS])
def test_small_messages_leave_at_once_and_silence_is_noticed(silent_ms: int) -> None:
    with socket.socket() as sock:
        sockets.tune(sock, silent_ms)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in {
            **liveness.TCP_OPTIONS, "TCP_NODELAY": 1, "TCP_USER_TIMEOUT": silent_ms
        }.items():  # fmt: skip
            assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value, name


def test_little_waits_where_it_cannot_be_dropped() -> None:
    with socket.socket() as sock:
        sockets.tune(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 128 * 1024


def test_an_option_that_this_system_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    with socket.socket() as sock:
        sockets.tune(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(("files", "room"), [(1024, 896), (4096, 1000), (100, 1)])
def test_connections_leave_files_to_the_rest_of_the_process(
    monkeypatch: pytest.MonkeyPatch, files: int, room: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    assert sockets.most_connections(1000) == room
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (resource.RLIM_INFINITY,) * 2)
    assert sockets.most_connections(1000) == 1000
