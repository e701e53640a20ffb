from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from common.fanout.tcp_info import parse, reset_on_close, tcp_info
from tests.support.timing import wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="struct tcp_info is Linux's")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    with client, accepted:
        yield client, accepted


def test_fields_are_read_from_their_places() -> None:
    raw = struct.pack("=8B24I4Q3I", *range(8), *range(100, 124), *range(200, 204), *range(300, 303))
    info = parse(raw + b"whatever came later")
    assert info is not None
    assert (info.retransmits, info.probes, info.unacked) == (2, 3, 104)
    assert (info.sent_ms, info.heard_ms, info.not_sent_bytes) == (109, 111, 302)


def test_what_an_older_system_gives_is_not_read() -> None:
    assert parse(bytes(104)) is None


@linux
def test_a_line_that_works_has_nothing_outstanding(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    client.sendall(b"x")
    assert accepted.recv(1) == b"x"

    def answered() -> bool:
        info = tcp_info(client)
        return info is not None and not info.unacked and info.heard_ms < 1000

    wait_until(answered, 5, "it is acknowledged")


@linux
def test_what_a_peer_has_no_room_for_is_not_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    client, _ = pair
    client.setblocking(False)
    sent = 0
    try:
        while True:
            sent += client.send(bytes(1 << 20))
    except BlockingIOError:
        pass
    info = tcp_info(client)
    assert info is not None
    assert 0 < info.not_sent_bytes <= sent


def test_other_sockets_have_none() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert tcp_info(one) is None
    assert tcp_info(one) is None


def test_a_reset_forgets_what_is_on_its_way(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    reset_on_close(client)
    client.close()
    with pytest.raises(ConnectionResetError):
        accepted.recv(1)
