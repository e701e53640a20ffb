"""Over real sockets; what follows the login is in test_login.py."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from fanlight.consumer.wall.access import POLICY
from fanlight.consumer.wall.access_settings import WebAccess
from fanlight.consumer.wall.limits import Refused
from tests.support.guarded_server import GuardedServer, guarded_server, received
from tests.support.timing import wait_until

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[GuardedServer]:
    with guarded_server(WebAccess(names=("wall.example",))) as server:
        yield server


def test_every_answer_has_the_headers_of_a_page_that_trusts_nobody(shared: GuardedServer) -> None:
    for path, status in (("/", 200), ("/none", 404), ("/static/x.css", 200)):
        answer = shared.request(path=path)
        assert answer.status == status
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["server"] == "fanlight"
    assert "unsafe" not in POLICY


def test_only_files_that_are_the_same_everywhere_may_be_kept(shared: GuardedServer) -> None:
    assert shared.request().headers["cache-control"] == "no-store"
    assert shared.request(path="/static/x.css").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "192.0.2.7", "", "localhost, evil"])
@pytest.mark.parametrize("path", ["/", "/socket", "/healthz", "/static/x.css", "/none"])
def test_another_host_is_refused(shared: GuardedServer, host: str, path: str) -> None:
    before = shared.counts[Refused.HOST]
    answer = shared.request(path=path, Host=host)
    assert answer.status == 421
    assert "--web-host" in answer.body
    assert "evil" not in answer.body
    assert shared.counts[Refused.HOST] == before + 1


def test_a_host_that_was_allowed_is_let_in(shared: GuardedServer) -> None:
    assert shared.request(Host="wall.example").body == "in"


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: evil.example\r\n", b"Host:\r\n"])
def test_exactly_one_host_is_required(shared: GuardedServer, hosts: bytes) -> None:
    with shared.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n%s\r\n" % hosts)
        assert sock.recv(4096).split()[1] in (b"400", b"421")


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://localhost:1", "https://[::1]:1"])
def test_the_socket_opens_for_its_own_page_only(shared: GuardedServer, origin: str) -> None:
    assert shared.request(path="/socket", **UPGRADE, Origin=origin).status == 403
    own = f"http://127.0.0.1:{shared.port}"
    with shared.connect() as sock:
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in UPGRADE.items()]
        head = "\r\n".join(["GET /socket HTTP/1.1", f"Host: {own[7:]}", f"Origin: {own}", *lines, "", ""])
        sock.sendall(head.encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard of"])
@pytest.mark.parametrize("what", ["image", "video", "iframe", "empty", "script", None])
def test_a_picture_in_the_page_of_another_site_is_not_served(
    shared: GuardedServer, site: str, what: str | None
) -> None:
    extra = {} if what is None else {"Sec_Fetch_Dest": what}
    assert shared.request(path="/s/cam.mp4", Sec_Fetch_Site=site, **extra).status == 403


def test_a_link_from_another_site_leads_to_the_page(shared: GuardedServer) -> None:
    assert shared.request(Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document").body == "in"


def test_a_refusal_is_logged_without_what_the_request_said(
    shared: GuardedServer, caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> bool:  # at most one line a second
        shared.request(Host="evil.example", Authorization="Bearer evil")
        return "(host)" in caplog.text

    with caplog.at_level(logging.WARNING):
        wait_until(logged, 20, "a line about the refusal")
    assert "evil" not in caplog.text
    assert "127.0.0.1" in caplog.text


def test_too_many_requests_of_an_address_are_refused_and_end_a_connection() -> None:
    with guarded_server() as server, server.connect() as sock:
        head = f"GET / HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode()
        sock.sendall(head * 1000)
        answers = received(sock)
        assert answers.count(b"HTTP/1.1 200 OK") < 1000
        assert server.counts[Refused.REQUESTS] == 1
        wait_until(lambda: server.request().body == "in", 20, "a request that is allowed again")
