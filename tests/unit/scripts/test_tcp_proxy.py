"""The proxy of the fault tests and the soak: its faults are those that it was told to make."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from scripts.lib.tcp_proxy import TcpProxy
from tests.support.timing import scaled, wait_until


def receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        assert more, "the connection ended"
        data += more
    return data


class Echo:
    """Sends back what comes; `paused` stops that."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.lost = 0
        threading.Thread(target=self._run, name="echo", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), name="echo client", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            while data := sock.recv(65536):
                sock.sendall(data)
        self.lost += 1

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", echo.port) as running:
        yield running


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=scaled(20)) as sock:
        check_echo(sock, b"hello")
        yield sock


def check_echo(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    assert receive(sock, len(data)) == data


def test_what_goes_in_comes_out_in_order_however_it_is_jittered(
    proxy: TcpProxy, client: socket.socket
) -> None:
    proxy.jitter_s = 0.03
    data = bytes(at * 7 % 251 for at in range(200_000))
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert receive(client, len(data)) == data
    sender.join()
    wait_until(lambda: proxy.held_bytes == 0, 20)  # it counts after it has sent


def test_held_back_is_nothing_lost(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.hold = True
    client.sendall(b"wait")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(4)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=scaled(15)) as late:
        late.sendall(b"too")
        proxy.hold = False
        client.settimeout(scaled(5))
        assert receive(client, 4) == b"wait"
        late.settimeout(scaled(5))
        assert receive(late, 3) == b"too"


def test_a_cut_is_a_reset_and_the_target_notices(
    proxy: TcpProxy, client: socket.socket, echo: Echo
) -> None:
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    wait_until(lambda: echo.lost == 1, 20, "the target loses its client")
    assert proxy.connections == 0
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=scaled(15)) as again:
        check_echo(again, b"again")


def test_an_end_on_one_side_is_passed_on_after_what_came_before(
    proxy: TcpProxy, client: socket.socket, echo: Echo
) -> None:
    proxy.jitter_s = 0.05
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert receive(client, 4) == b"last"
    assert client.recv(1) == b""
    wait_until(lambda: proxy.connections == 0 and echo.lost == 1, 20, "nothing is left of it")


def test_a_stopped_proxy_leaves_nothing(echo: Echo) -> None:
    threads = threading.active_count()
    proxy = TcpProxy("127.0.0.1", echo.port)
    proxy.start()
    proxy.hold = True
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=scaled(15)) as sock:
        proxy.stop()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    proxy.stop()
    wait_until(lambda: threading.active_count() <= threads, 20, "its thread has ended")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=scaled(15))
