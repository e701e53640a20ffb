"""A page of which a part was not loaded."""

from __future__ import annotations

from pathlib import Path

from tests.support.browser import chromium
from tests.support.scripted_wall import scripted_wall

# The first worker is not found.
LOST = """
    const Real = window.Worker;
    window.Worker = function(url, options) {
        return new Real(localStorage.lost++ ? url : "/static/js/lost.js", options);
    };
    localStorage.lost ??= 0;
"""


def test_a_page_that_was_not_loaded_completely_is_loaded_again(tmp_path: Path) -> None:
    with chromium(tmp_path) as browser, scripted_wall() as wall:
        wall.announce({"cam": (640, 360)})
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LOST})
        browser.open(wall.url)
        browser.wait("document.querySelector('.tile').dataset.state === 'live'", 30)
        assert browser.run("return localStorage.lost") == "2"
