"""`window` on a real X server: what is seen, and what ends it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from fanlight.common.codec.picture import BGR
from fanlight.common.model.result import Result
from tests.support.display import Display, display
from tests.support.found import found
from tests.support.moving_square import NAME, SIZE, around, coloured, is_framed, picture, square_in
from tests.support.timing import scaled, wait_until
from tests.unit.common.codec.build import psnr

pytestmark = pytest.mark.brokerless

__all__ = ["display"]

MEDIA = Path(__file__).parents[1] / "media" / "bigbuckbunny-720p.mp4"
TITLE = "Fanlight c1 - cam"
LABEL = (slice(0, 60), slice(0, 260))


class Child:
    """The other process. `ask` sends a command and waits for the answer."""

    def __init__(self, display: Display, folder: Path) -> None:
        self._folder = folder
        self._errors = (folder / "stderr").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.window_child"],
            env=display.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            assert self._answer() == "open"
        except BaseException:
            self.kill()
            raise

    def ask(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def show(self, image: BGR, result: Result | None = None) -> str:
        path = self._folder / "image.npy"
        np.save(path, image)
        found = "" if result is None else result.to_json().decode()
        return self.ask(f"present {path} {found}")

    def goes_on(self) -> bool:
        return {"True": True, "False": False}[self.ask("tick")]

    def end(self) -> tuple[int, str]:
        """Its exit code and everything that it wrote to stderr."""
        try:
            self._process.communicate(timeout=scaled(10))
            self._errors.seek(0)
            return self._process.returncode, self._errors.read()
        finally:
            self.kill()

    def kill(self) -> None:
        """End it whatever it does. No harm once it has ended."""
        with self._process:
            self._process.kill()
        self._errors.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def child(display: Display, tmp_path: Path) -> Iterator[Child]:
    started = Child(display, tmp_path)
    try:
        yield started
    finally:
        started.kill()


@pytest.fixture(scope="module")
def footage() -> BGR:
    """Frame 100 of the clip."""
    with av.open(str(MEDIA)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == 100:
                image: BGR = frame.to_ndarray(format="bgr24").astype(np.uint8)
                return image
    raise AssertionError


def only_window(display: Display, child: Child) -> int:
    """The window, once it is on the screen."""
    wait_until(lambda: child.goes_on() and display.windows(TITLE), 20, "a window")
    (window,) = display.windows(TITLE)
    display.expose(window)
    return window


def shown(display: Display, child: Child, footage: BGR) -> BGR:
    """The screen, once the picture is on it."""
    seen: list[BGR] = []
    only_window(display, child)

    def drawn() -> bool:
        # Again each time: on a slow machine it would be marked as standing still meanwhile.
        child.show(footage)
        assert child.goes_on()
        seen.append(display.screenshot())
        return psnr(seen[-1][360:720, 640:1280], footage[360:, 640:]) > 40

    wait_until(drawn, 20, "the picture on the screen")
    return seen[-1]


def test_the_window_shows_the_picture_exactly_but_for_the_label(
    display: Display, child: Child, footage: BGR
) -> None:
    assert child.show(footage) == "untouched"
    screen = shown(display, child, footage)
    picture = screen[:720, :1280].copy()
    label = picture[LABEL].copy()
    source = footage.copy()
    picture[LABEL] = source[LABEL] = 0
    assert psnr(picture, source) > 60
    assert label.max() > 200, "white text"
    assert psnr(label, footage[LABEL]) < 30, "a label stands there"
    assert not screen[720:].any(), "the window is as large as the picture"


def test_before_the_first_frame_the_window_shows_a_notice(display: Display, child: Child) -> None:
    only_window(display, child)
    wait_until(lambda: child.goes_on() and display.screenshot()[:360, :640].max() > 200, 20, "a notice")


def test_a_resized_window_keeps_the_aspect_of_the_picture(
    display: Display, child: Child, footage: BGR
) -> None:
    child.show(footage)
    shown(display, child, footage)
    display.resize(only_window(display, child), 640, 640)
    small = footage[::2, ::2]

    def fits() -> bool:
        child.show(footage)
        assert child.goes_on()
        # 640x360 in the middle of 640x640.
        return psnr(display.screenshot()[140:500, :640][60:], small[60:]) > 20

    wait_until(fits, 20, "the picture at half its size, in the middle")


def test_what_was_found_is_drawn_on_its_frame_and_r_switches_that(display: Display, child: Child) -> None:
    window = only_window(display, child)
    number = 0

    def seen(wanted: Callable[[BGR], bool]) -> bool:
        nonlocal number
        number += 1
        image = picture(number)
        square = square_in(image)
        assert square is not None
        assert child.show(image, found(number, NAME, size=SIZE, boxes=(around(square),))) == "untouched"
        assert child.goes_on()
        return wanted(display.screenshot()[: SIZE[1], : SIZE[0]])

    for _ in range(3):
        wait_until(lambda: seen(is_framed), 20, "the square of that very picture in a box")
    display.press(window, "r")
    wait_until(lambda: seen(lambda shown: not coloured(shown).any()), 20, "no box")
    display.press(window, "r")
    wait_until(lambda: seen(is_framed), 20, "a box again")


@pytest.mark.parametrize("key", ["q", "Escape"])
def test_a_key_ends_the_consumer(display: Display, child: Child, footage: BGR, key: str) -> None:
    child.show(footage)
    assert child.goes_on()
    display.press(only_window(display, child), key)
    wait_until(lambda: not child.goes_on(), 20, f"the end, after {key}")
    assert child.ask("close") == "closed"
    assert child.end() == (0, "")


def test_another_key_does_nothing(display: Display, child: Child, footage: BGR) -> None:
    child.show(footage)
    display.press(only_window(display, child), "x")
    display.press(only_window(display, child), "Return")
    assert all(child.goes_on() for _ in range(20))


def test_closing_the_window_ends_the_consumer_for_good(
    display: Display, child: Child, footage: BGR
) -> None:
    child.show(footage)
    assert child.goes_on()
    display.close_window(only_window(display, child))
    wait_until(lambda: not child.goes_on(), 20, "the end, after the window was closed")
    child.show(footage)
    assert not child.goes_on()
    assert display.windows(TITLE) == []
    assert not display.screenshot().any(), "the screen is empty again"
    assert child.ask("close") == "closed"
    assert child.end() == (0, "")


def test_a_picture_that_stands_still_is_marked(display: Display, child: Child, footage: BGR) -> None:
    child.show(footage)
    lively = shown(display, child, footage)[100:720, :1280].mean()

    def dimmed() -> bool:
        assert child.goes_on()
        return bool(display.screenshot()[100:720, :1280].mean() < 0.6 * lively)

    wait_until(dimmed, 20, "a darker picture")
    shown(display, child, footage)
