"""What the page does when something goes away and comes back, without being loaded again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from scripts.lib.ports import free_ports
from scripts.lib.tcp_proxy import TcpProxy
from tests.support.browser import Browser, chromium
from tests.support.commands import Command, running
from tests.support.throttle import SlowLine
from tests.support.timing import wait_until
from tests.support.wall import Page, wall

MAX_AGE_MS = 500
BACK_S = 60
SLOW_BITS_PER_S = 200_000
SLOW_S = 5.0
STREAM = "media-back"


@contextmanager
def producing(url: str) -> Iterator[Command]:
    arguments = ("--url", url, "--stream", STREAM, "--size", "640x360", "--quality", "1")
    with running("producer", *arguments) as command:
        yield command


@pytest.fixture(scope="module")
def proxy(broker_url: str) -> Iterator[TcpProxy]:
    """Between the wall and the broker."""
    host, port = broker_url.rpartition("@")[2].partition("/")[0].split(":")
    with TcpProxy(host, int(port)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


class Parts:
    """A producer and a wall that can be killed and started again."""

    def __init__(self, broker_url: str, proxy: TcpProxy) -> None:
        self._broker_url = broker_url
        self._wall_url = proxy.url_through(broker_url)
        self._producer = ExitStack()
        self._wall = ExitStack()
        self.port = free_ports(1)[0]

    def start_producer(self) -> None:
        self._producer.enter_context(producing(self._broker_url))

    def kill_producer(self) -> None:
        self._producer.close()

    def start_wall(self) -> None:
        self._wall.enter_context(wall(self._wall_url, port=self.port))

    def kill_wall(self) -> None:
        self._wall.close()


@pytest.fixture(scope="module")
def parts(broker_url: str, proxy: TcpProxy) -> Iterator[Parts]:
    parts = Parts(broker_url, proxy)
    parts.start_producer()
    parts.start_wall()
    yield parts
    parts.kill_wall()
    parts.kill_producer()


@pytest.fixture
def page(browser: Browser, parts: Parts) -> Page:
    page = Page(browser, STREAM)
    page.open(parts.port)
    page.run("window.sameAsBefore = true; window.told = [];")
    page.run("TILE.addEventListener('still', ({detail}) => told.push(['still', detail.sinceMs]))")
    page.run("TILE.addEventListener('live', () => told.push(['live']))")
    return page


def test_pictures_come_back_after_a_producer_was_killed(page: Page, parts: Parts) -> None:
    parts.kill_producer()
    page.wait("!TILE.stats.live", BACK_S)
    assert page.stats["stillSinceMs"] is not None
    parts.start_producer()
    assert_fresh_again(page)


def test_pictures_come_back_after_the_wall_was_killed(page: Page, parts: Parts) -> None:
    parts.kill_wall()
    page.wait("!TILE.stats.live && !fanlight.engine.connected", BACK_S)
    parts.start_wall()
    assert_fresh_again(page)


def test_pictures_come_back_after_the_broker_was_away(page: Page, proxy: TcpProxy) -> None:
    proxy.cut(refuse=True)
    page.wait("!TILE.stats.live", BACK_S)
    proxy.admit()
    assert_fresh_again(page)


def assert_fresh_again(page: Page) -> None:
    moment_ms = time.time() * 1000
    page.wait_captured(moment_ms, BACK_S)
    page.wait("TILE.stats.live", BACK_S)
    assert {"still", "live"} <= {each[0] for each in page.run("return told")}
    assert page.run("return window.sameAsBefore") is True
    assert_never_old(page)


def assert_never_old(page: Page) -> None:
    ages = [drawn["ageMs"] for drawn in page.stats["history"]]
    assert ages
    assert max(ages) <= MAX_AGE_MS


def test_a_hidden_page_receives_nothing_and_comes_back(page: Page, browser: Browser) -> None:
    page.run(
        "addEventListener('visibilitychange', () => {"
        "  if (!document.hidden) window.visibleMs = TILE.stats.clock.offsetMs + Date.now();"
        "})"
    )
    browser.driver.minimize_window()
    try:
        # Whole reports of a hidden page: nothing came, and nothing was drawn.
        page.run("TILE.addEventListener('stats', ({detail}) => document.hidden && told.push(detail))")
        page.wait("told.filter((each) => each.bytesPerS === 0).length >= 2")
        first, second = page.run("return told.filter((each) => each.bytesPerS === 0).slice(-2)")
        assert first["shown"] == second["shown"]
    finally:
        browser.driver.set_window_rect(0, 0, 1000, 700)
    page.wait("window.visibleMs !== undefined")
    page.wait_captured(page.run("return visibleMs"), BACK_S)
    assert_never_old(page)


def test_nothing_old_is_drawn_on_a_slow_line(browser: Browser, parts: Parts) -> None:
    page = Page(browser, STREAM)
    with SlowLine(parts.port) as line:
        page.open(line.port)
        started_s = time.monotonic()
        line.bits_per_s = SLOW_BITS_PER_S
        wait_until(lambda: time.monotonic() - started_s > SLOW_S, 2 * SLOW_S, "the time on a slow line")
        line.bits_per_s = 0
        page.wait_captured(time.time() * 1000, BACK_S)
        assert_never_old(page)
