"""The web server: what it answers, where it listens, how it ends."""

from __future__ import annotations

import asyncio
import socket
import threading
import urllib.request
from urllib.error import HTTPError
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from fanlight.common.model.errors import ConfigError, ListenError
from fanlight.consumer.wall.server import WallServer, page_address
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.streams import Streams
from tests.support.timing import scaled
from tests.support.wall_page import wall_page
from tests.unit.consumer.wall.build import ScriptedSource
from tests.unit.consumer.wall.serving import Served, served


def _get(wall: Served, path: str) -> tuple[str, str]:
    """Content type and body."""
    with urllib.request.urlopen(f"{wall.url}{path}", timeout=scaled(20)) as answer:  # noqa: S310
        return answer.headers["Content-Type"], answer.read().decode()


def test_it_serves_the_page_and_its_parts() -> None:
    with served() as wall:
        kind, page = _get(wall, "/")
        assert kind.startswith("text/html")
        assert "<!doctype html>" in page.lower()
        assert _get(wall, "/static/wall.css")[0].startswith("text/css")
        assert "javascript" in _get(wall, "/static/js/main.js")[0]
        assert _get(wall, "/healthz")[1] == '{"status": "ok"}'


@pytest.mark.parametrize(
    "path", ["/nothing", "/static/../server.py", "/static/%2e%2e/server.py", "/static/"]
)
def test_it_serves_nothing_else(path: str) -> None:
    with served() as wall, pytest.raises(HTTPError) as refused:
        _get(wall, path)
    assert refused.value.code in (403, 404)
    refused.value.close()


def test_a_qr_code_is_a_picture_of_the_address() -> None:
    with served() as wall:
        kind, svg = _get(wall, f"/qr.svg?u={quote('http://wall.lan:8080/?streams=<a>')}")
        assert kind.startswith("image/svg+xml")
        assert ElementTree.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own
        assert "<a>" not in svg


@pytest.mark.parametrize("query", ["", "?u=", f"?u={'x' * 1001}"])
def test_a_qr_code_needs_an_address_of_some_length(query: str) -> None:
    with served() as wall, pytest.raises(HTTPError) as refused:
        _get(wall, f"/qr.svg{query}")
    assert refused.value.code == 400
    refused.value.close()


def test_a_port_in_use_is_one_clear_line() -> None:
    with served() as wall:
        settings = WallSettings(listen=("127.0.0.1", wall.port))
        second = WallServer(settings, lambda _fail: Streams(settings, ScriptedSource))
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{wall.port}: cannot listen there"):
            second.run()


def test_beyond_this_machine_it_needs_a_token() -> None:
    settings = WallSettings(listen=("0.0.0.0", 8080))  # noqa: S104
    with pytest.raises(ConfigError, match="token"):
        WallServer(settings, lambda _fail: Streams(settings, ScriptedSource))


def test_it_ends_at_once_with_pages_that_are_open() -> None:
    async def run() -> None:
        async with asyncio.timeout(scaled(10)), wall_page(wall.url) as page:
            await page.say("subscribe", stream="cam")
            await asyncio.to_thread(wall.source)
            wall.server.stop()
            assert await page.closed() == 1001

    with served() as wall:
        asyncio.run(run())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", wall.port), scaled(5))


def test_stopped_before_it_runs_it_does_not_run() -> None:
    settings = WallSettings(listen=("127.0.0.1", 0))
    server = WallServer(settings, lambda _fail: Streams(settings, ScriptedSource))
    server.stop()
    thread = threading.Thread(target=server.run)
    thread.start()
    thread.join(scaled(20))
    assert not thread.is_alive()


def test_an_error_of_its_streams_ends_it() -> None:
    settings = WallSettings(listen=("127.0.0.1", 0))
    error = ListenError("broken")

    def make(fail: object) -> Streams:
        threading.Thread(target=server.fail, args=(error,)).start()
        return Streams(settings, ScriptedSource)

    server = WallServer(settings, make)
    with pytest.raises(ListenError, match="broken"):
        server.run()


def test_the_address_of_the_page_can_be_opened() -> None:
    assert page_address(WallSettings(), 8080) == "http://127.0.0.1:8080/"
    assert page_address(WallSettings(listen=("::1", 8080), web_cert="x"), 9) == "https://[::1]:9/"
