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


@pytest.fixture
def waker() -> Iterator[Waker]:
    with closing(Waker()) as one:
        yield one


def readable(waker: Waker) -> bool:
    return bool(select.select([waker], [], [], 0)[0])


# The waker ------------------------------------------------------------------------------------------------


def test_a_poller_wakes_up_until_the_waker_is_cleared(waker: Waker) -> None:
    assert not readable(waker)
    for _ in range(5_000):  # more than its buffer holds: waking never waits
        waker.wake()
    assert readable(waker)
    waker.clear()
    assert not readable(waker)
    for _ in range(2):
        waker.close()
        waker.wake()
        waker.clear()


# Listening -----------------------------------------------------------------------------------------------


def test_a_port_in_use_is_an_error_and_leaves_nothing_open() -> None:
    (port,) = free_ports(1)
    (listening,) = sockets.listen(LOOPBACK, port, 5)
    with listening:
        assert listening.getsockname() == (LOOPBACK, port)
        with pytest.raises(BlockingIOError):
            listening.accept()
        with pytest.raises(OSError, match="in use"):
            sockets.listen(LOOPBACK, port, 5)  # one left open would be a ResourceWarning, an error here
    sockets.listen(LOOPBACK, port, 5)[0].close()


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
def test_a_socket_sends_at_once_buffers_little_and_notices_silence(
    silent_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        **liveness.TCP_OPTIONS, "TCP_NODELAY": 1, "TCP_USER_TIMEOUT": silent_ms,
        "TCP_NOTSENT_LOWAT": 128 * 1024,
    }  # fmt: skip
    with socket.socket() as sock:
        sockets.tune(sock, silent_ms)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in options.items():
            assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value, name
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    with socket.socket() as sock:
        sockets.tune(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "others without one of them"


@pytest.mark.parametrize(("files", "room"), [(1024, 896), (4096, 1000), (100, 1)])
def test_connections_leave_files_to_the_rest_of_the_process(
    monkeypatch: pytest.MonkeyPatch, files: int, room: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    assert sockets.most_connections(1000) == room
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (resource.RLIM_INFINITY,) * 2)
    assert sockets.most_connections(1000) == 1000
