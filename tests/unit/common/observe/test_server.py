from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from fanlight.common.model.errors import ListenError
from fanlight.common.observe.health import Health
from fanlight.common.observe.server import CONNECTION_S, MOST_CONNECTIONS, MonitorServer
from scripts.lib.ports import free_ports
from tests.support.timing import scaled, wait_until

HEALTHS = [Health(True, "frames flow")]


def metrics(accept: str | None) -> tuple[str, bytes]:
    return "text/plain", f"for {accept}".encode()


@contextmanager
def serving(connection_s: float = CONNECTION_S) -> Iterator[MonitorServer]:
    address = ("127.0.0.1", free_ports(1)[0])
    made = MonitorServer(address, metrics=metrics, health=lambda: HEALTHS[-1], connection_s=connection_s)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server() -> Iterator[MonitorServer]:
    with serving() as made:
        yield made


def ask(server: MonitorServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=scaled(20))
    connection.request(method, path, headers={"Accept": "all"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def connect(server: MonitorServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=scaled(20))


def threads() -> int:
    return sum(thread.name.startswith("Thread-") for thread in threading.enumerate())


def test_paths(server: MonitorServer) -> None:
    assert ask(server, "/metrics") == (200, b"for all")
    assert ask(server, "/metrics?x=y") == (200, b"for all")
    assert ask(server, "/metrics", "HEAD") == (200, b"")
    for path in ("/", "/metricsx", "/healthz/../etc/passwd", "//"):
        assert ask(server, path)[0] == 404
    assert ask(server, "/metrics", "POST")[0] == 501


def test_health_is_one_line(server: MonitorServer) -> None:
    status, body = ask(server, "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok", "reason": "frames flow"})
    HEALTHS.append(Health(False, "not connected"))
    try:
        status, body = ask(server, "/healthz")
    finally:
        HEALTHS.pop()
    assert (status, body.count(b"\n")) == (503, 1)
    assert json.loads(body) == {"status": "failing", "reason": "not connected"}


def test_an_unusable_address_is_one_line(server: MonitorServer) -> None:
    with pytest.raises(ListenError, match=f"--metrics 127.0.0.1:{server.port}: .*in use.*another port"):
        MonitorServer(("127.0.0.1", server.port), metrics=metrics, health=lambda: HEALTHS[0])
    with pytest.raises(ListenError, match=r"--metrics 192\.0\.2\.1:9: cannot listen there"):
        MonitorServer(("192.0.2.1", 9), metrics=metrics, health=lambda: HEALTHS[0])


def test_one_connection_too_many_is_closed_at_once() -> None:
    with serving(connection_s=3600) as server, ExitStack() as held:
        first, *_ = [held.enter_context(connect(server)) for _ in range(MOST_CONNECTIONS)]
        wait_until(lambda: threads() == MOST_CONNECTIONS, 20, "all are taken")
        with connect(server) as refused:
            assert refused.recv(1) == b""
        first.close()
        wait_until(lambda: threads() == MOST_CONNECTIONS - 1, 20, "one has gone")
        assert ask(server, "/metrics")[0] == 200


def test_slow_scrapers_are_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that always sends something, and never a line."""
    with serving(connection_s=0.5) as server, connect(server) as silent, connect(server) as dripping:
        dripping.setblocking(False)

        def cut_off() -> bool:
            try:
                dripping.send(b"G")
                return dripping.recv(1) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True

        wait_until(cut_off, 20, "it is cut off")
        assert silent.recv(1) == b""
        wait_until(lambda: threads() == 0, 20, "their threads end")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET " + b"x" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200,
        b"\r\n\r\n",
    ],
)
def test_nonsense_leaves_the_server_working(
    server: MonitorServer, sent: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(server) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert ask(server, "/healthz")[0] == 200
    assert capsys.readouterr().err == ""


def test_stopping_does_not_wait_for_clients_and_frees_the_port() -> None:
    before = threading.active_count()
    with ExitStack() as held:
        with serving(connection_s=3600) as server:
            for _ in range(3):
                held.enter_context(connect(server))
            wait_until(lambda: threads() == 3, 20, "they are taken")
        assert threading.active_count() <= before
    again = MonitorServer(("127.0.0.1", server.port), metrics=metrics, health=lambda: HEALTHS[0])
    again.start()
    again.stop()
