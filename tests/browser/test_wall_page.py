"""The wall's page in a real Chromium: what people see and do. Only the streams are made by the test."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver.common.keys import Keys

from scripts.lib.ports import free_ports
from tests.support.browser import Browser, chromium
from tests.support.scripted_wall import FROZEN, ScriptedWall, scripted_wall
from tests.support.timing import wait_until

SIX: Final = {
    "cam": (640, 360),
    "door": (640, 360),
    "garden": (480, 360),
    "lab": (360, 640),
    "roof": (360, 360),
    "yard": (640, 360),
}
HOSTILE: Final = "<img src=x onerror=document.title='hit'>"
BOXES: Final = """
    return [...document.querySelectorAll(".tile:not([hidden])")].map(tile => {
        const {x, y, width, height} = tile.getBoundingClientRect();
        return [x, y, width, height];
    })"""
SHOWN: Final = "[...document.querySelectorAll('.tile:not([hidden]) .name')].map(e => e.textContent).join()"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("downloads")) as opened:
        yield opened


@pytest.fixture
def wall(browser: Browser) -> Iterator[ScriptedWall]:
    with scripted_wall() as running:
        yield running
        browser.open("about:blank")


def show(browser: Browser, wall: ScriptedWall, address: str = "/") -> None:
    """Open the page and wait for pictures on all tiles in sight."""
    browser.errors()
    browser.open(wall.url + address)
    browser.wait(
        "document.querySelectorAll('.tile').length && [...document.querySelectorAll('.tile:not([hidden])')]"
        ".filter(e => e.getBoundingClientRect().top < innerHeight).every(e => e.dataset.state === 'live')"
    )


def state(stream: str) -> str:
    tiles = "[...document.querySelectorAll('.tile')]"
    return f"{tiles}.find(tile => tile.textContent.includes('{stream}')).dataset.state"


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 720), (390, 844)])
def test_tiles_fill_the_screen_and_keep_their_aspect(
    browser: Browser, wall: ScriptedWall, width: int, height: int
) -> None:
    wall.announce(SIX)
    browser.resize(width, height, phone=width < 600)
    show(browser, wall)
    boxes = browser.run(BOXES)
    assert len(boxes) == len(SIX)
    for (x, y, wide, high), (picture_width, picture_height) in zip(boxes, SIX.values(), strict=True):
        assert wide / high == pytest.approx(picture_width / picture_height, rel=0.03)
        assert x >= 0
        assert x + wide <= width
        assert y >= 0
    assert sum(wide * high for _, _, wide, high in boxes) > 0.7 * width * height
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    if width > 600:
        assert max(y + high for _, y, _, high in boxes) <= height
    assert browser.errors() == []


def test_each_tile_says_its_name_and_its_age(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall)
    assert re.fullmatch(r"cam\d+ ms", browser.texts(".caption")[0])
    assert browser.run("return document.querySelector('canvas').getAttribute('aria-label')") == (
        "Live picture of cam"
    )


def test_a_page_that_shows_pictures_requests_nothing_more(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    show(browser, wall)
    browser.run("performance.clearResourceTimings()")
    browser.run("window.told = 0")
    browser.run("fanlight.tiles.get('cam').addEventListener('stats', () => window.told++)")
    browser.wait("window.told >= 3")
    assert browser.run("return performance.getEntriesByType('resource').map(each => each.name)") == []


def test_the_bar_leaves_when_nobody_moves_and_comes_back(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall)
    browser.wait("getComputedStyle(document.getElementById('bar')).opacity === '0'")
    browser.press(Keys.TAB)
    browser.wait("getComputedStyle(document.getElementById('bar')).opacity === '1'")


def test_click_and_keys_show_one_stream_and_all(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360), "door": (480, 360), "yard": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall)
    browser.click(".tile:nth-child(2) .open")
    browser.wait(f"{SHOWN} === 'door'")
    assert browser.driver.current_url == f"{wall.url}/?layout=one:door"
    ((_, _, wide, high),) = browser.run(BOXES)
    assert (round(wide), round(high)) == (960, 720)
    browser.press(Keys.ESCAPE)
    browser.wait(f"{SHOWN} === 'cam,door,yard'")
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == "Show door alone"
    browser.press(Keys.ARROW_RIGHT, Keys.ENTER)
    browser.wait(f"{SHOWN} === 'yard'")
    browser.press("1")
    browser.wait(f"{SHOWN} === 'cam'")
    browser.press(Keys.ARROW_RIGHT)
    browser.wait(f"{SHOWN} === 'door'")
    browser.press("0")
    browser.wait(f"{SHOWN} === 'cam,door,yard'")
    browser.press("?")
    browser.wait("document.getElementById('help').open")
    browser.press("1")
    browser.press(Keys.ESCAPE)
    browser.wait("!document.getElementById('help').open")
    assert browser.run(f"return {SHOWN}") == "cam,door,yard"
    assert browser.errors() == []


def test_f_fills_the_screen(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    show(browser, wall)
    browser.press("f")
    browser.wait("document.fullscreenElement !== null")
    browser.press("f")
    browser.wait("document.fullscreenElement === null")


def test_a_link_is_a_view_and_history_goes_back(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360), "door": (480, 360), "yard": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall, "/?streams=yard,c*&layout=one:cam")
    assert browser.run(f"return {SHOWN}") == "cam"
    browser.press("0")
    browser.wait(f"{SHOWN} === 'yard,cam'")
    assert browser.driver.current_url == f"{wall.url}/?streams=yard,c*"
    browser.driver.back()
    browser.wait(f"{SHOWN} === 'cam'")
    browser.driver.forward()
    browser.wait(f"{SHOWN} === 'yard,cam'")
    browser.press("v")
    browser.wait("document.getElementById('view-qr').naturalWidth > 0")
    link = browser.run("return document.getElementById('view-link').value")
    assert link == f"{wall.url}/?streams=yard,c*"
    qr_code = browser.run("return new URL(document.getElementById('view-qr').src).searchParams.get('u')")
    assert qr_code == link
    browser.click("#option-streams label:nth-child(3) input")
    browser.run("document.getElementById('option-playout').value = 'sync'")
    browser.click("#options .button")
    browser.wait(f"{SHOWN} === 'cam,door,yard'")
    assert browser.driver.current_url == f"{wall.url}/?playout=sync"
    assert browser.errors() == []


def test_an_option_that_is_not_allowed_is_named(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    show(browser, wall, "/?via=flash")
    assert browser.texts("#notice") == [
        "Left out of the address: via=flash: allowed are webcodecs, mse, mjpeg"
    ]


def test_a_snapshot_is_the_picture_shown_named_by_its_capture(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall, "/?layout=one:cam")
    browser.press("p")
    browser.wait(f"{state('cam')} === 'paused'")
    wait_until(lambda: wall.viewers("cam") == 0, 10)
    browser.press("s")
    wait_until(lambda: list(browser.downloads.glob("cam-*Z.png")), 10)
    (saved,) = browser.downloads.glob("cam-*Z.png")
    fraction_us = int(saved.stem[-7:-1])
    browser.wait(f"fanlight.tiles.get('cam').stats.captureUs % 1_000_000 === {fraction_us}")
    assert struct.unpack(">4x4sII", saved.read_bytes()[8:24]) == (b"IHDR", 640, 360)
    assert browser.texts("#notice") == [f"Saved {saved.name}"]
    saved.unlink()


def test_pause_holds_the_picture_until_back_to_live(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    show(browser, wall, "/?layout=one:cam")
    browser.click("[aria-label='Pause']")
    wait_until(lambda: wall.viewers("cam") == 0, 10)
    browser.wait(f"{state('cam')} === 'paused'")
    assert re.fullmatch(r"campaused, \d\d:\d\d:\d\d", browser.texts(".caption")[0])
    shown = browser.run("return fanlight.tiles.get('cam').stats.shown")
    browser.click("[aria-label='Back to live']")
    browser.wait(f"fanlight.tiles.get('cam').stats.shown > {shown}")
    browser.wait(f"{state('cam')} === 'live'")


def test_what_is_out_of_sight_is_not_received(browser: Browser, wall: ScriptedWall) -> None:
    streams = {f"cam{number:02}": (640, 360) for number in range(24)}
    wall.announce(streams)
    browser.resize(390, 844, phone=True)
    show(browser, wall)
    assert wall.viewers("cam00") == 1
    assert wall.viewers("cam23") == 0
    browser.run("scrollTo(0, document.documentElement.scrollHeight)")
    wait_until(lambda: (wall.viewers("cam00"), wall.viewers("cam23")) == (0, 1), 10)
    browser.press("1")
    wait_until(lambda: (wall.viewers("cam00"), wall.viewers("cam23")) == (1, 0), 10)


def test_a_hidden_tab_receives_nothing_and_comes_back(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    show(browser, wall)
    page = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    wait_until(lambda: wall.viewers("cam") == 0, 10)
    browser.driver.close()
    browser.driver.switch_to.window(page)
    browser.run("window.before = fanlight.tiles.get('cam').stats.shown")
    wait_until(lambda: wall.viewers("cam") == 1, 10)
    browser.wait("fanlight.tiles.get('cam').stats.shown > window.before")


def test_a_picture_that_stands_still_is_grey_and_says_since_when(
    browser: Browser, wall: ScriptedWall
) -> None:
    wall.announce({"cam": (640, 360), "door": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall)
    wall.freeze("cam")
    browser.wait(f"{state('cam')} === 'still'")
    browser.wait(f"document.querySelector('.tile:first-child .note').textContent.endsWith(': {FROZEN}')")
    said = browser.texts(".tile:first-child .note")[0]
    assert re.fullmatch(rf"No new picture since \d\d:\d\d:\d\d: {FROZEN}", said)
    browser.wait("getComputedStyle(document.querySelector('canvas')).filter.includes('grayscale(1)')")
    browser.wait(f"{state('door')} === 'live'")
    wall.announce({"door": (640, 360)})
    browser.wait(f"{state('cam')} === 'gone'")
    assert re.fullmatch(r"Not live since \d\d:\d\d:\d\d", browser.texts(".tile:first-child .note")[0])
    assert browser.violations() == []


def test_the_details_of_a_tile(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall, "/?layout=one:cam")
    browser.press("i")
    browser.wait("document.querySelector('.details').checkVisibility()")
    browser.wait("/[1-9]\\d* kB\\/s/.test(document.querySelector('.details').textContent)")
    told = dict(zip(browser.texts(".details dt"), browser.texts(".details dd"), strict=True))
    assert told["Codec"] == "jpeg"
    assert told["Size"] == "640 × 360"
    assert told["Frames/s"] == "10"
    assert re.fullmatch(r"\d+ ms", told["Age p50"])
    assert int(told["Seq"]) >= 0
    assert set(told) == {
        "Via", "Codec", "Size", "Frames/s", "Age", "Age p50", "Shown", "Dropped", "Results",
        "Rate", "Seq",
    }  # fmt: skip
    assert browser.violations() == []


def test_the_empty_wall_says_how_to_start_a_producer(browser: Browser, wall: ScriptedWall) -> None:
    browser.open(wall.url)
    browser.wait("document.getElementById('empty-command').checkVisibility()")
    assert browser.texts("#empty-command") == ["python -m producer --stream cam"]
    browser.click("#empty-copy")
    browser.wait("document.getElementById('notice').textContent === 'Copied the command'")
    assert browser.violations() == []
    wall.announce({"cam": (640, 360)})
    browser.wait(f"{state('cam')} === 'live'")
    assert browser.errors() == []


def test_a_pattern_that_matches_nothing_offers_all_streams(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360)})
    browser.open(f"{wall.url}/?streams=x*")
    browser.wait("document.getElementById('empty-all').checkVisibility()")
    assert browser.violations() == []
    browser.click("#empty-all")
    browser.wait(f"{SHOWN} === 'cam'")


def test_a_name_is_text_whatever_it_says(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({HOSTILE: (640, 360)})
    browser.resize(1280, 720)
    browser.open(wall.url)
    browser.wait("document.querySelector('.tile')")
    assert browser.texts(".name") == [HOSTILE]
    browser.click(".open")
    browser.wait("document.body.classList.contains('one')")
    assert browser.texts("#title") == [HOSTILE]
    browser.press("v")
    browser.wait("document.getElementById('view').open")
    assert browser.texts(".choice span") == [HOSTILE]
    assert browser.run("return document.querySelectorAll('main img, header img, .choice img').length") == 0
    assert browser.run("return document.title") == f"{HOSTILE} · Fanlight"


def test_a_gateway_that_comes_back_is_joined_without_a_reload(browser: Browser) -> None:
    browser.resize(1280, 720)
    listen = ("127.0.0.1", free_ports(1)[0])  # nobody else takes it in between
    with scripted_wall(listen=listen) as before:
        before.announce({"cam": (640, 360)})
        show(browser, before)
    browser.wait("document.getElementById('connection').textContent.startsWith('No connection')")
    assert browser.violations() == []
    browser.run("window.kept = true")
    with scripted_wall(listen=listen) as after:
        after.announce({"cam": (640, 360)})
        browser.wait(
            f"document.getElementById('connection').textContent === '' && {state('cam')} === 'live'", 20
        )
        assert browser.run("return window.kept")
        browser.open("about:blank")


def test_everything_is_reached_by_tab_and_shows_that_it_is(browser: Browser, wall: ScriptedWall) -> None:
    wall.announce({"cam": (640, 360), "door": (640, 360)})
    browser.resize(1280, 720)
    show(browser, wall)
    reached = []
    for _ in range(12):
        browser.press(Keys.TAB)
        label, outline = browser.run(
            "const at = document.activeElement;"
            "return [at.getAttribute('aria-label'), getComputedStyle(at).outlineStyle]"
        )
        reached.append(label)
        assert outline == "solid", label
    tile = ["Pause", "Save this picture", "Details"]
    assert reached == [
        "Draw what detectors find", "This view: link, QR code, options", "Full screen", "Help",
        "Show cam alone", *tile, "Show door alone", *tile,
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_axe_finds_nothing_in_grid_one_and_dialogs(
    browser: Browser, wall: ScriptedWall, width: int, height: int
) -> None:
    wall.announce(SIX)
    browser.resize(width, height, phone=width < 600)
    show(browser, wall)
    assert browser.violations() == []
    browser.press("2")
    browser.wait(f"{SHOWN} === 'door'")
    assert browser.violations() == []
    for key, dialog in ("?", "help"), ("v", "view"):
        browser.press(key)
        browser.wait(f"document.getElementById('{dialog}').open")
        assert browser.violations() == []
        browser.press(Keys.ESCAPE)
        browser.wait(f"!document.getElementById('{dialog}').open")


def test_the_login_page(browser: Browser, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-the-test-0123456789abcdef\n")
    token.chmod(0o600)
    browser.resize(390, 844, phone=True)
    with scripted_wall(web_token_file=token) as guarded:
        guarded.announce({"cam": (640, 360)})
        browser.open(f"{guarded.url}/?layout=one:cam")
        browser.wait("document.activeElement.id === 'token'")
        assert browser.violations() == []
        browser.press("another token", Keys.ENTER)
        browser.wait("document.querySelector('.error').textContent === 'this is another token'")
        assert browser.violations() == []
        browser.press(token.read_text().strip(), Keys.ENTER)
        browser.wait(f"{SHOWN} === 'cam' && {state('cam')} === 'live'")
        assert browser.run("return location.search") == "?layout=one:cam"
        browser.open("about:blank")
