"""The gateway as a command, and what its page shows."""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from fanlight.common.codec.picture import BGR
from scripts.lib.ports import free_ports
from tests.support.browser import Browser
from tests.support.commands import Command, running
from tests.support.firefox import Firefox

_WIDEST_DB = 100.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the page gives as the picture that it shows, and whose results are drawn on it."""

    picture: BGR
    seq: int
    capture_us: int
    results: list[str]


@contextlib.contextmanager
def wall(url: str, *arguments: str, port: int | None = None) -> Iterator[tuple[Command, int]]:
    """`python -m consumer.wall`; yields the command and its port."""
    port = port or free_ports(1)[0]
    with running("consumer.wall", "--url", url, "--listen", f"127.0.0.1:{port}", *arguments) as command:
        command.wait_line(f"http://127.0.0.1:{port}/")
        yield command, port


class Page:
    """The page of a wall in a browser, and one of its tiles."""

    def __init__(self, browser: Browser | Firefox, stream: str) -> None:
        self.browser = browser
        self.stream = stream
        self.tile = f"fanlight.tiles.get({stream!r})"

    def open(self, port: int, query: str = "", host: str = "127.0.0.1") -> None:
        """Load the page with this stream only, and wait for its first picture."""
        self.browser.open(f"http://{host}:{port}/?streams={self.stream}&{query}")
        self.browser.wait(f"{self.tile}.stats.shown > 0 && {self.tile}.stats.history.length > 0", 40)

    def run(self, script: str) -> Any:
        return self.browser.run(script.replace("TILE", self.tile))

    def wait(self, script: str, timeout_s: float = 20) -> None:
        self.browser.wait(script.replace("TILE", self.tile), timeout_s)

    @property
    def stats(self) -> dict[str, Any]:
        """What the tile tells; `history` has what was drawn."""
        return dict(self.run("return TILE.stats"))

    def wait_captured(self, moment_ms: float, timeout_s: float = 20) -> None:
        """Until a picture is drawn that was captured after that moment (Unix)."""
        self.wait(f"TILE.stats.history.some((each) => each.captureUs > {moment_ms * 1000})", timeout_s)

    def snapshot(self) -> Snapshot:
        taken = self.run(
            "return TILE.snapshot().then(async ({blob, seq, captureUs, results}) => {"
            "  const bytes = new Uint8Array(await blob.arrayBuffer());"
            "  const text = bytes.reduce((text, byte) => text + String.fromCharCode(byte), '');"
            "  return {png: btoa(text), seq, captureUs, results};"
            "})"
        )
        return Snapshot(_picture(taken["png"]), taken["seq"], taken["captureUs"], taken["results"])

    def canvas(self) -> BGR:
        """What is on the canvas itself, in its own size."""
        return _picture(
            self.run(
                "const shown = TILE.canvas, copy = document.createElement('canvas');"
                "copy.width = shown.width; copy.height = shown.height;"
                "copy.getContext('2d').drawImage(shown, 0, 0);"
                "return copy.toDataURL('image/png').split(',')[1];"
            )
        )


def psnr_db(picture: BGR, reference: BGR) -> float:
    """Peak signal-to-noise ratio of two pictures of the same size."""
    assert picture.shape == reference.shape
    error = float(np.mean((picture.astype(np.float64) - reference) ** 2))
    return 10 * math.log10(255**2 / error) if error else _WIDEST_DB


def _picture(png: str) -> BGR:
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8)
