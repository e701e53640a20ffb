"""Programs that show pictures in OpenCV's windows: no order of imports may hang them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pytest

from fanlight.producer import Producer
from tests.support.broker import tcp_url
from tests.support.display import Display, xvfb
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.brokerless


@pytest.fixture(scope="module")
def display() -> Iterator[Display]:
    """One for all programs, each of which closes its window, or ends."""
    with xvfb() as running:
        yield running


IMPORTS = {
    "av": "import av",
    "cv2": "import cv2",
    "producer": "from fanlight import Producer",
    "consumer": "from fanlight import Consumer",
    "old producer": "from producer import Producer",
    "old consumer": "from consumer import Consumer",
}
SHOW = """
import cv2, numpy
cv2.imshow("pictures", numpy.zeros((64, 64, 3), numpy.uint8))
cv2.waitKey(1)
assert cv2.getWindowProperty("pictures", cv2.WND_PROP_VISIBLE) > 0
"""
SEND = """
import threading, numpy
out = Producer(url={url!r}).start()
while not out.stats().published:
    out.send(numpy.zeros((64, 64, 3), numpy.uint8))
    threading.Event().wait(0.01)
"""
READ = """
source = Consumer(url={url!r})
assert source.read(20).image.shape == (64, 64, 3)
"""
GRAB = """
import os, av
with av.open(os.environ["DISPLAY"] + ".0", format="x11grab") as screen:
    next(screen.decode(video=0))
"""


def run(display: Display, *parts: str) -> None:
    """To its end; a program that hangs is killed."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", "\n".join(parts)]
    subprocess.run(command, env=display.environment, timeout=scaled(40), check=True)


@pytest.mark.parametrize("side", ["producer", "consumer"])
@pytest.mark.parametrize(
    "order",
    [
        *permutations(("av", "cv2", "ours")),
        ("ours",),
        ("old ours",),
        ("window", "ours"),
        ("window", "ours", "av"),
    ],
    ids="-".join,
)
def test_a_window_whatever_was_imported_first(display: Display, side: str, order: tuple[str, ...]) -> None:
    parts = {"window": SHOW, **IMPORTS}
    run(display, *(parts[name.replace("ours", side)] for name in order), SHOW)


def test_a_window_after_a_producer_has_encoded(display: Display) -> None:
    url = tcp_url("multiplex")
    with subprocess.Popen([sys.executable, "-m", "consumer", "--url", url, "--sink", "null"]) as watching:
        try:
            run(display, IMPORTS["producer"], SEND.format(url=url), SHOW, "out.close()")
        finally:
            watching.terminate()


@pytest.mark.parametrize("codec", ["h264", "jpeg", "png"])
def test_a_window_after_the_first_frame(display: Display, codec: str) -> None:
    url = tcp_url("multiplex")
    with Producer(url=url, codec=codec) as out:
        child = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "\n".join([IMPORTS["consumer"], READ.format(url=url), SHOW, "source.close()"]),
            ],
            env=display.environment,
        )

        def ended() -> bool:
            out.send(np.zeros((64, 64, 3), np.uint8))
            return child.poll() is not None

        try:
            wait_until(ended, 40, "the program's end")
        finally:
            child.kill()
        assert child.wait() == 0


@pytest.mark.parametrize("parts", [(GRAB, SHOW), (SHOW, GRAB)], ids=["before", "after"])
def test_the_screen_can_be_read_by_av_beside_a_window(display: Display, parts: tuple[str, str]) -> None:
    run(display, IMPORTS["producer"], *parts)
