"""Hostile clients of a real wall, over real sockets; and somebody who goes on watching it meanwhile.

What is measured is whether frames keep coming to the watcher, not how fast.
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanlight.consumer.wall.limits import Refused
from scripts.lib.certs import Authority
from scripts.lib.ports import LOOPBACK
from tests.support.guarded_server import received
from tests.support.raw_websocket import BINARY, CLOSE, PING, TEXT, RawWebSocket, Watcher, frame
from tests.support.scripted_wall import ScriptedWall, scripted_wall
from tests.support.timing import scaled, wait_until

CLOCK = b'{"type":"clock","sent_ms":1}'
# Of RFC 6455, section 7.4.1.
PROTOCOL_ERROR, UNSUPPORTED, NOT_UTF8, POLICY, TOO_BIG = 1002, 1003, 1007, 1008, 1009


@pytest.fixture(scope="module")
def wall() -> Iterator[ScriptedWall]:
    with scripted_wall() as made:
        made.announce({"cam": (160, 120)})
        yield made


@pytest.fixture(scope="module")
def watcher(wall: ScriptedWall) -> Iterator[Watcher]:
    """One for the whole module: it is never disconnected."""
    made = Watcher(wall.port, "cam")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _the_watcher_goes_on(watcher: Watcher) -> Iterator[None]:
    yield
    assert watcher.sees(1)


@pytest.fixture
def page(wall: ScriptedWall) -> Iterator[RawWebSocket]:
    made = RawWebSocket(wall.port)
    assert " 101 " in made.head
    yield made
    made.close()


def connect(wall: ScriptedWall) -> socket.socket:
    return socket.create_connection((LOOPBACK, wall.port), scaled(30))


def answered(wall: ScriptedWall, request: bytes) -> bytes:
    """All that comes in answer to these bytes, until the other end closes."""
    with connect(wall) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(request)
        return received(sock)
    return b""


def get(wall: ScriptedWall, path: str, *lines: str) -> bytes:
    head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *lines, "", ""])
    return answered(wall, head.encode())


def test_two_thousand_idle_sockets_keep_nobody_out(wall: ScriptedWall, watcher: Watcher) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 5000 if most == resource.RLIM_INFINITY else min(most, 5000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, wanted), most))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(2000):
                stack.enter_context(connect(wall))
            assert get(wall, "/healthz").startswith(b"HTTP/1.1 200 ")
            assert watcher.sees(3)
            with contextlib.closing(Watcher(wall.port, "cam")) as another:
                assert another.sees(3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
    assert wall.counters.refused[Refused.EVICTED] > 0


def test_requests_that_never_end_keep_nobody_out(wall: ScriptedWall, watcher: Watcher) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(wall)) for _ in range(200)]
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert watcher.sees(3)
        assert get(wall, "/healthz").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(frame(TEXT, announced=1 << 62), TOO_BIG, id="4 EiB"),
        pytest.param(frame(TEXT, announced=(1 << 64) - 1), TOO_BIG, id="all bits of the length"),
        pytest.param(frame(TEXT, b"x" * 4097), TOO_BIG, id="one byte too many"),
        pytest.param(frame(TEXT, b"x", last=False) + frame(0, b"x" * 4096), TOO_BIG, id="in fragments"),
        pytest.param(frame(TEXT, zlib.compress(bytes(4096)), reserved=4), PROTOCOL_ERROR, id="compressed"),
        pytest.param(frame(TEXT, CLOCK, reserved=1), PROTOCOL_ERROR, id="a reserved bit"),
        pytest.param(frame(3), PROTOCOL_ERROR, id="an opcode without a meaning"),
        pytest.param(frame(PING, b"x" * 126), PROTOCOL_ERROR, id="a long ping"),
        pytest.param(frame(PING, last=False), PROTOCOL_ERROR, id="a ping in fragments"),
        pytest.param(frame(0, b"x"), PROTOCOL_ERROR, id="a fragment of nothing"),
        pytest.param(frame(TEXT, b"x", last=False) + frame(TEXT), PROTOCOL_ERROR, id="two at once"),
        pytest.param(frame(CLOSE, b"x"), PROTOCOL_ERROR, id="half a code"),
        pytest.param(frame(TEXT, b"\xff\xfe"), NOT_UTF8, id="not UTF-8"),
        pytest.param(frame(BINARY, b"x"), UNSUPPORTED, id="binary"),
        pytest.param(frame(TEXT, b"hello"), POLICY, id="not JSON"),
        pytest.param(frame(TEXT, b"[" * 4000), POLICY, id="deep"),
        pytest.param(frame(TEXT, b'{"type":"ack","bytes":%s}' % (b"9" * 4000)), POLICY, id="a long number"),
        pytest.param(frame(TEXT, b'{"type":"ack","bytes":NaN}'), POLICY, id="not a number"),
    ],
)
def test_a_malformed_message_ends_its_own_connection(page: RawWebSocket, sent: bytes, code: int) -> None:
    page.send(sent)
    assert page.closing_code() == code


def test_compression_is_not_offered(wall: ScriptedWall) -> None:
    page = RawWebSocket(wall.port, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
    assert " 101 " in page.head
    assert "permessage-deflate" not in page.head
    page.close()


def test_the_name_of_a_stream_is_not_sent_back_as_html(wall: ScriptedWall, page: RawWebSocket) -> None:
    name = "<img src=x onerror=alert(1)>"
    page.say(type="subscribe", stream=name)
    assert page.closing_code() == POLICY
    for path in (f"/s/{name}.jpg", "/s/%3Cimg%20src=x%20onerror=alert(1)%3E.jpg", "/%3Cimg%20src=x%3E"):
        head, _, body = get(wall, path, "Accept: text/html").partition(b"\r\n\r\n")
        assert b"text/html" not in head.lower() or b"<img" not in body


def test_a_flood_of_messages_ends_its_own_connection(page: RawWebSocket, watcher: Watcher) -> None:
    page.send(frame(TEXT, CLOCK) * 2000)
    assert page.closing_code() == POLICY
    assert watcher.sees(3)


def test_what_waits_for_a_page_is_bounded(wall: ScriptedWall, watcher: Watcher) -> None:
    assert watcher.sees(1)
    others = set(wall.watchers)
    with contextlib.closing(RawWebSocket(wall.port)) as page:
        wait_until(lambda: set(wall.watchers) - others, 20, "the page")

        def tell() -> None:
            for mine in set(wall.watchers) - others:
                for _ in range(1000):
                    mine.streams_changed()

        wall.loop.call_soon_threadsafe(tell)
        texts = 0
        with contextlib.suppress(EOFError, ConnectionError):
            while texts < 1000:
                texts += page.receive()[0] == TEXT
        assert texts < 1000


def test_a_flood_of_bytes_ends_its_own_connection(wall: ScriptedWall, page: RawWebSocket) -> None:
    before = wall.counters.refused[Refused.FLOODED]
    page.send(frame(PING) * 100_000)
    with contextlib.suppress(ConnectionError):
        assert page.closing_code() is None
    wait_until(lambda: wall.counters.refused[Refused.FLOODED] == before + 1, 20, "it is counted")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static/js/../../server.py",
        "/static/..%5cserver.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/%00",
        "/static",
        "/static/",
        "/static/js/",
        "//etc/passwd",
        "/s/..%2f..%2fetc%2fpasswd.jpg",
    ],
)
def test_no_other_file_is_served(wall: ScriptedWall, path: str) -> None:
    answer = get(wall, path)
    assert answer.split()[1] in (b"403", b"404")
    assert b"root:" not in answer
    assert b"import" not in answer


def test_what_is_served_is_there(wall: ScriptedWall) -> None:
    assert get(wall, "/static/wall.css").startswith(b"HTTP/1.1 200 ")


BODY = b"POST /login HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        BODY + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BODY + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        BODY + b"Content-Length: +5\r\n\r\nhello",
        BODY + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        BODY + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        BODY + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX\0: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"a=b; " * 2000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        bytes(5000),
    ],
)
def test_an_ambiguous_or_oversized_request_is_refused_and_ends_it(
    wall: ScriptedWall, request_: bytes
) -> None:
    answer = answered(wall, request_ + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP/1.1 200 " not in answer
    # What it did not read may take the answer with it.
    assert not answer or answer.startswith(b"HTTP/1.0 400 ")


def test_more_than_a_head_may_have_ends_the_connection(wall: ScriptedWall) -> None:
    lines = b"".join(b"X%d: %s\r\n" % (number, b"a" * 8000) for number in range(100))
    answer = answered(wall, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
    assert not answer.startswith(b"HTTP/1.1 200 ")


def test_the_page_of_another_site_opens_no_socket(wall: ScriptedWall) -> None:
    for origin in ("null", "http://evil.example", f"http://localhost:{wall.port + 1}"):
        page = RawWebSocket(wall.port, f"Origin: {origin}\r\n")
        assert " 403 " in page.head
        page.close()
    own = RawWebSocket(wall.port, f"Origin: http://127.0.0.1:{wall.port}\r\n")
    assert " 101 " in own.head
    own.close()


def test_a_name_that_leads_here_is_not_ours(wall: ScriptedWall) -> None:
    """DNS rebinding: the page of `evil.example`, whose address is ours now."""
    head = f"GET / HTTP/1.1\r\nHost: evil.example:{wall.port}\r\nConnection: close\r\n\r\n"
    assert answered(wall, head.encode()).startswith(b"HTTP/1.1 421 ")


def test_a_stream_is_made_in_a_few_sizes_at_a_time(wall: ScriptedWall) -> None:
    pages = [RawWebSocket(wall.port) for _ in range(8)]
    for number, page in enumerate(pages):
        page.say(type="subscribe", stream="cam", **{"as": "jpeg", "max": [100 + number, 100]})
    refused = 0
    for page in pages:
        answer: dict[str, object] = {}
        while answer.get("type") not in ("subscribed", "refused"):
            opcode, payload = page.receive()
            answer = json.loads(payload) if opcode == TEXT else {}
        refused += answer["type"] == "refused"
    for page in pages:
        page.close()
    assert refused == 2
    wait_until(lambda: wall.viewers("cam") == 1, 20, "the end of the other viewers")


def test_pictures_come_by_https_to_a_page_that_only_reads(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server(("localhost", LOOPBACK))
    with scripted_wall(web_cert=str(pair.cert), web_key=str(pair.key)) as guarded:
        guarded.announce({"cam": (640, 480)})
        tls = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        with contextlib.closing(RawWebSocket(guarded.port, tls=tls)) as page:
            page.say(type="subscribe", stream="cam")
            assert sum(page.receive()[0] == BINARY for _ in range(12)) > 5


def test_wrong_tokens_change_nothing_for_who_watches() -> None:
    token = "a token of the test, 35 characters."
    with scripted_wall(web_token=token) as guarded:
        guarded.announce({"cam": (160, 120)})
        assert get(guarded, "/ws").startswith(b"HTTP/1.1 401 ")
        form = f"token={token.replace(' ', '+')}"
        head = (
            f"POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(form)}"
        )
        answer = answered(guarded, f"{head}\r\n\r\n{form}".encode()).decode()
        cookie = answer.partition("Set-Cookie: ")[2].partition(";")[0]
        page = RawWebSocket(guarded.port, f"Cookie: {cookie}\r\n")
        assert " 101 " in page.head
        lines = [f"Authorization: Bearer {number}" for number in range(20)]
        statuses = {get(guarded, "/s/cam.jpg", line).split()[1] for line in lines}
        assert statuses == {b"401", b"429"}
        page.say(type="subscribe", stream="cam")
        while page.receive()[0] != BINARY:
            pass
        page.close()
        again = RawWebSocket(guarded.port, f"Cookie: {cookie}\r\n")
        assert " 101 " in again.head
        again.close()
