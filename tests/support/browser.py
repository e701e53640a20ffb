"""A real Chromium, driven by selenium."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.support.timing import scaled, wait_until

AXE: Final = Path(__file__).parents[1] / "integration" / "node" / "node_modules" / "axe-core" / "axe.min.js"
_PROGRAMS: Final = ("chromium", "chromedriver")
_OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """One window. What is asked of the page is JavaScript.

    Attributes:
        downloads: the folder into which files are saved.
    """

    def __init__(self, driver: webdriver.Chrome, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads

    def open(self, url: str) -> None:
        self.driver.get(url)

    def run(self, script: str, *arguments: object) -> Any:
        """What `script` returns; a promise is awaited."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, timeout_s: float = 20) -> None:
        """Until this expression holds. A page that is being loaded has no values yet."""

        def holds() -> object:
            return self.run(f"try {{ return Boolean({script}) }} catch (error) {{ return false }}")

        try:
            wait_until(holds, timeout_s, script)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page has logged {self.errors()}") from None

    def press(self, *keys: str) -> None:
        """At what has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def click(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def texts(self, selector: str) -> list[str]:
        """What the elements say, visible or not."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
        return list(self.run(script, selector))

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """The size of the page, in CSS pixels."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page as it is."""
        if not AXE.is_file():
            pytest.skip("axe-core is not installed: scripts/test does it, with npm")
        self.driver.execute_script(AXE.read_text())
        found = self.driver.execute_async_script(
            "axe.run(document, {resultTypes: ['violations']}).then(arguments[0])"
        )["violations"]
        return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]

    def errors(self) -> list[str]:
        """What the page has logged as errors since the last call."""
        logged = self.driver.execute("getLog", {"type": "browser"})["value"]
        return [each["message"] for each in logged if each["level"] == "SEVERE"]


@contextlib.contextmanager
def chromium(downloads: Path, *arguments: str) -> Iterator[Browser]:
    """A fresh profile; what is downloaded comes into this folder. Skips where there is no Chromium."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    with tempfile.TemporaryDirectory(prefix="fanlight-chromium-", ignore_cleanup_errors=True) as profile:
        for option in (*_OPTIONS, *arguments, f"--user-data-dir={profile}"):
            options.add_argument(option)
        service = webdriver.ChromeService(str(shutil.which("chromedriver")))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_page_load_timeout(scaled(30))
            driver.set_script_timeout(scaled(30))
            yield Browser(driver, downloads)
        finally:
            driver.quit()
