"""What the page shows: the right pictures, with their true age, in all three ways."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import cv2
import numpy as np
import pytest

from fanlight.consumer import Consumer
from fanlight.producer.source.test_pattern import TestPattern, read_frame_number
from tests.support.browser import Browser, chromium
from tests.support.commands import running
from tests.support.firefox import Firefox, firefox
from tests.support.timing import wait_until
from tests.support.wall import Page, psnr_db, wall
from tests.support.watching import Watcher

SIZE = (640, 360)
FPS = 30
LEAST_DB = 30
WAYS = [("h264", "webcodecs"), ("h264", "mse"), ("h264", "mjpeg"), ("jpeg", "mjpeg")]
NAMES = {"h264": "media-h264", "jpeg": "media-jpeg"}
CLOCK_MS = 5
HOST = "wall.test"  # leads to this machine, in this browser
MAX_AGE_MS = 500
DELAY_MS = 200
PAINTED = "return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))"
SYNC = f"playout=sync&delay={DELAY_MS}"


@pytest.fixture(scope="module")
def port(broker_url: str) -> Iterator[int]:
    """The wall's, with two streams."""
    with ExitStack() as stack:
        for codec, stream in NAMES.items():
            arguments = ("--url", broker_url, "--stream", stream, "--size", "640x360", "--codec", codec)
            stack.enter_context(running("producer", *arguments))
        _, port = stack.enter_context(wall(broker_url, "--web-host", HOST))
        yield port


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    rule = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    with chromium(tmp_path_factory.mktemp("downloads"), rule) as browser:
        yield browser


@pytest.mark.parametrize(("codec", "way"), WAYS)
def test_pictures_are_those_of_the_source(
    codec: str, way: str, browser: Browser, port: int, broker_url: str
) -> None:
    compare_with_the_source(Page(browser, NAMES[codec]), "" if codec == "jpeg" else way, port, broker_url)


@pytest.fixture(scope="module")
def other_browser() -> Iterator[Firefox]:
    with firefox() as browser:
        yield browser


@pytest.mark.parametrize(("codec", "way"), WAYS)
def test_firefox_shows_the_pictures_of_the_source(
    codec: str, way: str, other_browser: Firefox, port: int, broker_url: str
) -> None:
    page = Page(other_browser, NAMES[codec])
    compare_with_the_source(page, "" if codec == "jpeg" else way, port, broker_url)


def compare_with_the_source(page: Page, way: str, port: int, broker_url: str) -> None:
    # A browser does not say which frame of a <video> it copies: under load it may be the one beside.
    frames = 5 if way == "mse" else 1
    fitting: dict[int, bool] = {}
    # What the page calls a frame is compared with what somebody else received under the same number.
    with Watcher(Consumer(page.stream, url=broker_url)) as watcher:
        page.open(port, f"via={way}" if way else "")
        while len(fitting) < frames:
            seq, fits = is_the_frame_of_its_number(page, watcher)
            fitting[seq] = fits
    assert sum(fitting.values()) > frames / 2, fitting


def is_the_frame_of_its_number(page: Page, watcher: Watcher) -> tuple[int, bool]:
    captured: dict[int, int] = {}

    def shown_to_both() -> bool:
        page.run("TILE.resume()")
        page.wait("!TILE.stats.paused && TILE.stats.live")
        page.run("TILE.pause()")
        page.run(PAINTED)
        captured.update({seen.seq: seen.capture_ns for seen in watcher.seen})
        return page.snapshot().seq in captured

    wait_until(shown_to_both, 60, "a frame that the page and a consumer have shown")
    snapshot = page.snapshot()
    canvas = page.canvas()
    assert snapshot.capture_us == captured[snapshot.seq] // 1000
    page.wait(f"TILE.stats.seq === {snapshot.seq}")
    number = read_frame_number(snapshot.picture)
    assert number is not None
    # Its text has the time of capture, to the millisecond.
    reference = TestPattern(SIZE, FPS).draw(number, captured[snapshot.seq])
    tile = cv2.resize(reference, canvas.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    found_db = psnr_db(snapshot.picture, reference), psnr_db(canvas, tile)
    return snapshot.seq, min(found_db) >= LEAST_DB


def test_the_age_is_that_by_the_producers_clock(browser: Browser, port: int) -> None:
    page = Page(browser, NAMES["h264"])
    page.open(port, "via=webcodecs")
    # On one host all clocks are the same: what the page has found out of the gateway's must agree.
    page.wait(f"TILE.stats.clock.uncertaintyMs < {CLOCK_MS - 1}", 60)
    before_ms = time.time() * 1000
    page_ms = page.run("return Date.now()")
    after_ms = time.time() * 1000
    stats = page.stats
    assert before_ms - 1 <= page_ms <= after_ms + 1
    clock = stats["clock"]
    assert abs(clock["offsetMs"]) <= clock["uncertaintyMs"] + 1
    assert stats["history"]
    for drawn in stats["history"]:
        assert abs(drawn["shownMs"] - drawn["captureUs"] / 1000 - drawn["ageMs"]) <= CLOCK_MS
        assert -CLOCK_MS < drawn["ageMs"] <= MAX_AGE_MS
    times = [drawn["captureUs"] for drawn in stats["history"]]
    assert times == sorted(set(times))


@pytest.mark.parametrize(
    ("host", "query", "way"),
    [("127.0.0.1", "", "webcodecs"), (HOST, "", "mse"), (HOST, "via=webcodecs", "mse")],
)
def test_the_way_is_chosen_by_what_the_browser_has(
    host: str, query: str, way: str, browser: Browser, port: int
) -> None:
    page = Page(browser, NAMES["h264"])
    page.open(port, query, host=host)
    # Browsers have no WebCodecs at plain http, unless it is this machine by its loopback address.
    assert browser.run("return isSecureContext") is (way == "webcodecs")
    assert page.stats["via"] == way


def test_two_pages_draw_a_frame_when_it_is_due(browser: Browser, port: int) -> None:
    page = Page(browser, NAMES["h264"])
    first = browser.driver.current_window_handle
    page.open(port, SYNC)
    browser.driver.switch_to.new_window("window")
    try:
        page.open(port, SYNC)
        page.wait("TILE.stats.history.length > 30")
        histories = [page.stats["history"]]
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(first)
    histories.append(page.stats["history"])
    assert {drawn["seq"] for drawn in histories[0]} & {drawn["seq"] for drawn in histories[1]}
    for history in histories:
        ages = [drawn["ageMs"] for drawn in history]
        # A timer may be late on a loaded machine, but nothing is drawn before its time.
        assert min(ages) >= DELAY_MS - CLOCK_MS
        assert max(ages) <= MAX_AGE_MS
