"""Access control in a real Chromium: logging in, and the pages of other sites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver.common.keys import Keys

from scripts.lib.certs import Authority
from tests.support.browser import Browser, chromium
from tests.support.scripted_wall import ScriptedWall, scripted_wall
from tests.support.web import send, serving

TOKEN: Final = "a token of the test: 0123456789"
# What a page can reach of the wall at arguments[0]: by a socket, as pictures, and by requests.
REACHED: Final = """
    const url = arguments[0];
    const socket = new Promise((resolve) => {
        const opened = new WebSocket(url.replace("http", "ws") + "/ws");
        opened.onopen = () => { opened.close(); resolve(true); };
        opened.onerror = () => resolve(false);
    });
    const picture = (path) => new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve(true);
        image.onerror = () => resolve(false);
        image.src = url + path;
    });
    const request = (mode) => fetch(url + "/s/cam.jpg", { mode, credentials: "include" })
        .then(() => true, () => false);
    return Promise.all([
        socket, picture("/s/cam.jpg"), picture("/static/icon.svg"), request("cors"), request("no-cors"),
    ])"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = ("--host-resolver-rules=MAP evil.example 127.0.0.1", "--ignore-certificate-errors")
    with chromium(tmp_path_factory.mktemp("downloads"), *options) as opened:
        yield opened


@pytest.fixture
def wall(browser: Browser) -> Iterator[ScriptedWall]:
    with scripted_wall(web_token=TOKEN) as running:
        running.announce({"cam": (320, 240)})
        yield running
        browser.open("about:blank")
        # Those of one token are valid for the wall of the next test as well.
        browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})


@pytest.fixture
def evil() -> Iterator[str]:
    """The address of another site, whose page has a link for `wall` to change."""
    with serving(lambda request: send(request, b"<!doctype html><a>a link</a>", "text/html")) as web:
        yield web.url.replace("127.0.0.1", "evil.example")


def log_in(browser: Browser, url: str) -> None:
    browser.open(url)
    browser.wait("document.activeElement.id === 'token'")
    browser.press(TOKEN, Keys.ENTER)
    browser.wait("document.querySelector('.tile').dataset.state === 'live'")


def test_who_logs_in_sees_pictures_and_scripts_see_no_cookie(browser: Browser, wall: ScriptedWall) -> None:
    log_in(browser, f"{wall.url}/?layout=one:cam")
    assert browser.run("return location.search") == "?layout=one:cam"
    assert browser.run("return document.cookie") == ""
    (cookie,) = browser.driver.get_cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in cookie["value"]
    assert all("Content Security Policy" not in line for line in browser.errors())
    # Logging out ends the page's connection too.
    browser.run("return fetch('/logout', { method: 'POST', redirect: 'manual' })")
    browser.wait("!fanlight.engine.connected")


def test_the_page_of_another_site_reaches_nothing(browser: Browser, wall: ScriptedWall, evil: str) -> None:
    log_in(browser, wall.url)
    assert browser.run(REACHED, wall.url) == [True] * 5
    for site in (evil, evil.replace("evil.example", "127.0.0.1")):
        browser.open(site)
        assert browser.run(REACHED, wall.url) == [False] * 5


def test_a_link_from_another_site_leads_who_is_logged_in_to_the_wall(
    browser: Browser, wall: ScriptedWall, evil: str
) -> None:
    log_in(browser, wall.url)
    browser.open(evil)
    browser.run("document.querySelector('a').href = arguments[0]", f"{wall.url}/?streams=cam")
    browser.click("a")
    browser.wait("location.search === '?streams=cam' && document.querySelector('.tile') !== null")


def test_a_name_of_another_site_that_leads_here_shows_nothing(browser: Browser, wall: ScriptedWall) -> None:
    log_in(browser, wall.url)
    browser.open(wall.url.replace("127.0.0.1", "evil.example"))
    assert browser.texts("body") == ["this is no name of this gateway: --web-host NAME adds one\n"]


def test_https_has_a_cookie_of_its_own(browser: Browser, tmp_path: Path) -> None:
    pair = Authority(tmp_path).server(("localhost", "127.0.0.1"))
    with scripted_wall(web_token=TOKEN, web_cert=str(pair.cert), web_key=str(pair.key)) as guarded:
        guarded.announce({"cam": (320, 240)})
        log_in(browser, guarded.url.replace("http:", "https:"))
        secure = [cookie for cookie in browser.driver.get_cookies() if cookie["secure"]]
        assert [cookie["name"].startswith("__Host-") for cookie in secure] == [True]
        browser.open("about:blank")
