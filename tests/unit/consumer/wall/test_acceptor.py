"""The limits on connections, over real sockets; also those of connection.py."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.common.model.errors import ListenError
from fanlight.common.transport.tcp.connection_limiter import MOST_PER_PEER
from fanlight.consumer.wall.access_settings import WebAccess
from fanlight.consumer.wall.connection import BYTES_AT_ONCE
from fanlight.consumer.wall.limits import Refused
from scripts.lib.certs import Authority
from scripts.lib.ports import LOOPBACK
from tests.support.guarded_server import GuardedServer, ended, guarded_server, received
from tests.support.timing import scaled, wait_until
from tests.support.tls import outside_address


def hold(server: GuardedServer) -> socket.socket:
    """A connection whose request is being served."""
    sock = server.connect()
    sock.sendall(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert server.holding.acquire(timeout=scaled(30))
    return sock


def test_a_connection_without_a_request_is_closed_in_time() -> None:
    with guarded_server(request_s=1.5) as server, contextlib.ExitStack() as stack:
        silent, slow, kept = [stack.enter_context(server.connect()) for _ in range(3)]
        held = stack.enter_context(hold(server))
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert all(ended(sock) for sock in (silent, slow, kept))
        assert server.counts[Refused.OVERDUE] >= 2  # the third one is idle, as those of browsers are
        server.held.set()
        assert held.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_byte_now_and_then_gains_no_time() -> None:
    with guarded_server(request_s=0.5) as server, server.connect() as sock:
        sock.settimeout(0.05)
        sock.sendall(b"GET / HTTP/1.1\r\n")

        def closed() -> bool:
            try:
                sock.sendall(b"X: y\r\n")
                return sock.recv(4096) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(closed, 20, "the end of a request that never ends")
        assert server.counts[Refused.OVERDUE] == 1


def test_idle_connections_make_room_and_served_ones_stay() -> None:
    with guarded_server(most=8) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(hold(server)) for _ in range(3)]
        idle = [stack.enter_context(server.connect()) for _ in range(40)]
        wait_until(lambda: server.counts[Refused.EVICTED] >= 35, 20, "room that was made")
        assert server.request().body == "in"
        assert len(server.connections) <= 8
        assert ended(idle[0])
        server.held.set()
        assert all(sock.recv(4096).startswith(b"HTTP/1.1 200") for sock in held)


def test_when_all_are_served_one_more_is_refused() -> None:
    with guarded_server(most=3) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(hold(server)) for _ in range(3)]
        with server.connect() as sock:
            assert ended(sock)
        assert server.counts[Refused.CONNECTIONS] == 1
        assert server.counts[Refused.EVICTED] == 0
        held.pop().close()
        wait_until(lambda: len(server.connections) == 2, 20, "the end of the one that was closed")
        with hold(server):
            assert len(server.connections) == 3


def test_a_connection_that_sends_too_much_is_closed() -> None:
    with guarded_server() as server, contextlib.ExitStack() as stack:
        sock = stack.enter_context(server.connect())
        sock.settimeout(scaled(10))
        stack.enter_context(contextlib.suppress(ConnectionError))
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n")
        sock.sendall(b"x" * 2 * BYTES_AT_ONCE)
        assert ended(sock)
    assert server.counts[Refused.FLOODED] == 1


def test_an_address_in_use_is_one_clear_line() -> None:
    with guarded_server() as server:
        from fanlight.consumer.wall.acceptor import Acceptor
        from fanlight.consumer.wall.connection import Connections

        acceptor = Acceptor(lambda: None, Connections(1))  # type: ignore[arg-type]
        with pytest.raises(ListenError, match=r"in use: is another wall running\?"):
            acceptor.start(LOOPBACK, server.port)


def test_connections_of_another_address_are_limited() -> None:
    outside = outside_address()
    if outside is None:
        pytest.skip("this machine has no address beyond the loopback")
    access = WebAccess(token="a token that is long enough")
    with guarded_server(access, host=outside, most=200) as server, contextlib.ExitStack() as stack:
        for _ in range(MOST_PER_PEER + 1):
            stack.enter_context(server.connect(outside))
        wait_until(lambda: server.counts[Refused.CONNECTIONS] == 1, 20, "the one too many")
        assert len(server.connections) == MOST_PER_PEER


def test_without_file_descriptors_it_goes_on() -> None:
    """The server is another process: this one needs file descriptors itself."""
    command = [sys.executable, "-m", "tests.support.guarded_server", "8"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            port = int(child.stdout.readline())
            with contextlib.ExitStack() as stack:
                for _ in range(30):
                    stack.enter_context(socket.create_connection((LOOPBACK, port), scaled(30)))
                assert "Too many open files" in child.stdout.readline()
            with socket.create_connection((LOOPBACK, port), scaled(30)) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert received(sock).endswith(b"in")
        finally:
            child.stdin.close()


@pytest.fixture
def with_tls(tmp_path: Path) -> WebAccess:
    pair = Authority(tmp_path).server(("localhost", LOOPBACK))
    return WebAccess(cert=str(pair.cert), key=str(pair.key))


def test_whoever_does_not_speak_tls_is_closed(with_tls: WebAccess) -> None:
    with guarded_server(with_tls, most=4) as server, contextlib.ExitStack() as stack:
        plain = stack.enter_context(server.connect())
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ended(plain)
        # Handshakes that do not begin count as connections, and make room.
        silent = [stack.enter_context(server.connect()) for _ in range(12)]
        assert server.request().body == "in"
        assert ended(silent[0])
        assert len(server.connections) <= 4


def test_an_old_version_of_tls_is_refused(with_tls: WebAccess) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with guarded_server(with_tls) as server, server.connect() as sock:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(sock)
        assert server.request().body == "in"
