"""Over real sockets."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from fanlight.consumer.wall.access_settings import WebAccess
from fanlight.consumer.wall.limits import ATTEMPTS_AT_ONCE, Refused
from scripts.lib.certs import Authority
from tests.support.guarded_server import Answer, GuardedServer, ended, guarded_server
from tests.support.timing import scaled

TOKEN = "töken of 26 letters & more"
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def server() -> Iterator[GuardedServer]:
    with guarded_server(WebAccess(token=TOKEN)) as made:
        yield made


def log_in(server: GuardedServer, token: str = TOKEN, path: str = "/login") -> Answer:
    return server.request("POST", path, urlencode({"token": token}), **FORM)


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_without_the_token_nothing_but_the_login_is_reached(server: GuardedServer) -> None:
    for path in ("/", "/socket", "/s/cam.mp4", "/none", "/hold", "//static/../", "/static/../hold"):
        assert server.request(path=path).status == 401, path
    for path in ("/login", "/static/x.css", "/healthz"):
        assert server.request(path=path).status == 200, path


def test_a_browser_is_led_to_the_login_and_back(server: GuardedServer) -> None:
    wanted = "/?streams=a,b*&layout=one:cam"
    led = server.request(path=wanted, Accept="text/html,*/*")
    assert led.status == 401
    found = re.search(r'http-equiv="refresh" content="0; url=(/login\?next=[^"&]*)"', led.body)
    assert found is not None
    page = server.request(path=found[1], Accept="text/html")
    assert 'name="token"' in page.body
    assert "{{" not in page.body
    answer = log_in(server, path=found[1])
    assert answer.status == 303
    assert answer.headers["location"] == wanted
    assert server.request(path=wanted, Cookie=cookie_of(answer)).body == "in"


def test_the_cookie_is_for_this_page_alone_and_has_no_token_in_it(server: GuardedServer) -> None:
    answer = log_in(server)
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= attributes
    assert "secure" not in attributes
    assert "ken" not in cookie_of(answer)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil.example",
        "/%0d%0aX:1",
        "/%09/evil",
        "",
    ],
)
def test_after_the_login_nobody_is_led_elsewhere(server: GuardedServer, target: str) -> None:
    answer = log_in(server, path=f"/login?next={target}")
    assert answer.status == 303
    assert answer.headers["location"] == "/"
    assert "x" not in answer.headers


def test_a_wrong_token_shows_the_login_again(server: GuardedServer) -> None:
    answer = log_in(server, "<b>another one</b>")
    assert answer.status == 401
    assert "another token" in answer.body
    assert "<b>" not in answer.body
    assert "set-cookie" not in answer.headers
    assert server.counts[Refused.TOKEN] == 1


@pytest.mark.parametrize("body", ["", "token", "other=1", "token=" + "x" * 5000, "%ff=%ff", "&" * 100])
def test_a_malformed_form_is_refused(server: GuardedServer, body: str) -> None:
    assert server.request("POST", "/login", body, **FORM).status == 400


@pytest.mark.parametrize("scheme", ["Bearer {}", "bearer  {}", "BEARER {}"])
def test_a_player_sends_the_token(server: GuardedServer, scheme: str) -> None:
    assert server.request(path="/s/cam.mp4", Authorization=scheme.format("x" * 16)).status == 401
    ascii_token = "0123456789abcdef"
    with guarded_server(WebAccess(token=ascii_token)) as plain:
        assert plain.request(path="/s/cam.mp4", Authorization=scheme.format(ascii_token)).body == "in"


@pytest.mark.parametrize("user", ["", "fanlight", "anybody"])
def test_a_player_that_knows_passwords_only_sends_it_as_such(server: GuardedServer, user: str) -> None:
    asked = server.request(path="/s/cam.mp4")
    assert asked.status == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert server.counts[Refused.TOKEN] == 0  # all players ask first
    assert server.request(path="/s/cam.mp4", Authorization=basic(user, TOKEN)).body == "in"
    assert server.request(path="/s/cam.mp4", Authorization=basic(TOKEN, user)).status == 401


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Basic", "Basic !", "Basic eA==", "Digest x", "Basic /w==", "\xff"]
)
def test_a_malformed_authorization_is_refused(server: GuardedServer, value: str) -> None:
    assert server.request(path="/s/cam.mp4", Authorization=value).status == 401


def test_a_browser_does_not_ask_for_a_password_of_its_own(server: GuardedServer) -> None:
    assert "www-authenticate" not in server.request(path="/socket").headers
    within = server.request(path="/s/cam.mp4", Sec_Fetch_Mode="no-cors", Sec_Fetch_Site="same-origin")
    assert within.status == 401
    assert "www-authenticate" not in within.headers


def test_the_address_of_a_page_does_not_let_in(server: GuardedServer) -> None:
    for name in ("token", "password", "access_token", "auth"):
        assert (
            server.request(path=f"/s/cam.mp4?{name}=t%C3%B6ken%20of%2026%20letters%20%26%20more").status
            == 401
        )


def test_wrong_tokens_are_limited_and_lock_out_no_session(server: GuardedServer) -> None:
    session = cookie_of(log_in(server))
    statuses = [log_in(server, f"wrong token {n}").status for n in range(ATTEMPTS_AT_ONCE + 1)]
    assert statuses == [*[401] * ATTEMPTS_AT_ONCE, 429]
    # Nobody learns whether this one is right.
    assert log_in(server).status == 429
    refused = server.request(path="/s/cam.mp4", Authorization=basic("", TOKEN))
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    assert server.request(Cookie=session).body == "in"


def test_logging_out_ends_the_session_and_its_connections(server: GuardedServer) -> None:
    session, other = cookie_of(log_in(server)), cookie_of(log_in(server))
    with server.connect() as sock:
        sock.sendall(f"GET /hold HTTP/1.1\r\nHost: localhost\r\nCookie: {session}\r\n\r\n".encode())
        assert server.holding.acquire(timeout=scaled(30))
        answer = server.request("POST", "/logout", Cookie=session)
        assert answer.headers["location"] == "/login"
        assert "max-age=0" in answer.headers["set-cookie"].lower()
        assert ended(sock)
    assert server.request(Cookie=session).status == 401
    assert server.request(Cookie=other).body == "in"


def test_another_site_cannot_log_out(server: GuardedServer) -> None:
    session = cookie_of(log_in(server))
    assert server.request("POST", "/logout", Cookie=session, Origin="http://evil.example").status == 403
    assert server.request("GET", "/logout", Cookie=session).status == 405
    assert server.request(Cookie=session).body == "in"


@pytest.mark.parametrize(
    "cookie", ["x", "fanlight-{port}=", "fanlight-{port}=1.2.3", "fanlight-{port}=" + TOKEN[8:]]
)
def test_a_forged_cookie_does_not_let_in(server: GuardedServer, cookie: str) -> None:
    assert server.request(Cookie=cookie.format(port=server.port)).status == 401


def test_with_tls_the_cookie_is_sent_over_tls_only(tmp_path: Path) -> None:
    pair = Authority(tmp_path).server(("localhost",))
    access = WebAccess(token=TOKEN, cert=str(pair.cert), key=str(pair.key))
    with guarded_server(access) as server:
        answer = log_in(server)
        assert "secure" in answer.headers["set-cookie"].lower()
        assert answer.headers["set-cookie"].startswith("__Host-")
        assert server.request(Cookie=cookie_of(answer)).body == "in"


def test_neither_token_nor_session_is_logged(
    server: GuardedServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        session = cookie_of(log_in(server))
        log_in(server, f"{TOKEN}x")
        server.request(Authorization=f"Bearer {TOKEN[:3]}\x01", Cookie=session)
    assert "login from 127.0.0.1" in caplog.text
    for secret in (TOKEN, TOKEN[:8], session.partition("=")[2]):
        assert secret not in caplog.text
