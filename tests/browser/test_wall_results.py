"""What detectors find, on the page: drawn on exactly the picture in which they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, chromium
from tests.support.found import found
from tests.support.moving_square import NAME, coloured, is_framed, squares
from tests.support.scripted_wall import scripted_wall
from tests.support.timing import wait_until
from tests.support.wall import Page, Snapshot, wall

STREAMS = {"h264": "found-h264", "jpeg": "found-jpeg"}
# Long, so that a detector on a loaded machine answers in time.
MAX_AGE = "5s"
EPOCH = 1  # of `header`
QUERY = f"results={NAME}&wait=4000"


@pytest.fixture(scope="module")
def port(broker_url: str) -> Iterator[int]:
    with wall(broker_url, "--max-age", MAX_AGE) as (_, port):
        yield port


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


def with_results(page: Page) -> Snapshot:
    """A picture that is shown with results on it."""
    taken: list[Snapshot] = []

    def drawn() -> bool:
        taken.append(page.snapshot())
        return taken[-1].results == [NAME]

    wait_until(drawn, 30, "a picture with results")
    return taken[-1]


@pytest.mark.parametrize(("codec", "way"), [("h264", "webcodecs"), ("h264", "mse"), ("jpeg", "mjpeg")])
def test_a_box_lies_on_what_was_found_in_that_very_picture(
    codec: str, way: str, browser: Browser, port: int, broker_url: str
) -> None:
    page = Page(browser, STREAMS[codec])
    framed: dict[int, bool] = {}
    with squares(broker_url, page.stream, codec=codec):
        page.open(port, f"{QUERY}&via={way}")
        while len(framed) < 5:
            snapshot = with_results(page)
            framed[snapshot.seq] = is_framed(snapshot.picture)
    # A browser does not say which frame of a <video> it copies: under load it may be the one beside.
    assert sum(framed.values()) > 2 if way == "mse" else all(framed.values()), framed
    assert browser.errors() == []


def test_a_key_switches_drawing_off_and_on(browser: Browser, port: int, broker_url: str) -> None:
    page = Page(browser, STREAMS["jpeg"])
    with squares(broker_url, page.stream, codec="jpeg"):
        page.open(port, QUERY)
        with_results(page)
        browser.press("r")
        browser.wait("!location.search.includes('results')")
        wait_until(lambda: not coloured(page.canvas()).any(), 10, "a picture without drawings")
        assert page.snapshot().results == []
        browser.press("r")
        browser.wait(f"location.search.includes('results={NAME}')")
        assert is_framed(with_results(page).picture)
        # The canvas has what a snapshot has.
        wait_until(lambda: is_framed(page.canvas()), 10, "a drawing on the canvas")


def test_a_late_result_is_drawn_while_its_picture_is_shown_and_on_no_other(browser: Browser) -> None:
    with scripted_wall() as scripted:
        scripted.announce({"cam": (640, 360)})
        page = Page(browser, "cam")
        page.open(scripted.port, "results=*&wait=0")
        scripted.freeze("cam")
        page.wait("document.querySelector('.tile').dataset.state === 'still'")
        shown = page.snapshot()
        source = scripted.result_sources[-1]
        boxes = ((100.0, 100.0, 300.0, 200.0),)
        others = (shown.seq - 1, EPOCH, "before"), (shown.seq, EPOCH + 1, "other")
        for seq, epoch, name in (*others, (shown.seq, EPOCH, NAME)):
            source.send(found(seq, name, epoch=epoch, size=(640, 360), boxes=boxes))
        late = with_results(page)
        assert (late.seq, late.results) == (shown.seq, [NAME])
        assert coloured(late.picture)[100, 100:300].all()
        assert not coloured(shown.picture).any()
        browser.open("about:blank")


def test_nothing_is_drawn_or_received_unless_the_address_asks(
    browser: Browser, port: int, broker_url: str
) -> None:
    page = Page(browser, "found-unwanted")
    with squares(broker_url, page.stream, codec="jpeg") as detecting:
        page.open(port)
        before = detecting.out.stats().unheard

        def unheard() -> bool:
            stats = detecting.out.stats()
            return stats.unheard > before + 5 and stats.sent == 0

        wait_until(unheard, 20, "results that the broker returns")
        assert not coloured(page.canvas()).any()
