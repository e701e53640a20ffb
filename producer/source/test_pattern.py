"""A moving test picture that needs no camera: colour bars, the frame number, the time of day."""

from __future__ import annotations

import threading
import time

import numpy as np

from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.codec.picture import BGR
from fanlight.producer.source.base import Captured
from fanlight.producer.source.digits import Digits
from fanlight.producer.source.frame_code import code_top, draw_frame_number, read_frame_number
from fanlight.producer.source.pacing import Pacer, interval_ns, wait_until
from fanlight.producer.stats import Drops

__all__ = ["DEFAULT_FPS", "DEFAULT_SIZE", "TestPattern", "TestPatternSource", "read_frame_number"]

DEFAULT_SIZE = (1280, 720)
DEFAULT_FPS = 30.0

# EBU colour bars at 75 %: white, yellow, cyan, green, magenta, red, blue; blue first in each.
_BARS = [
    (191, 191, 191),
    (0, 191, 191),
    (191, 191, 0),
    (0, 191, 0),
    (191, 0, 191),
    (0, 0, 191),
    (191, 0, 0),
]
_PANEL = 24
_SWEEP_S = 4.0
_BOUNCE_S = 1.5


class TestPattern:
    """Draws the pictures. What stands still is drawn once and copied."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    def __init__(self, size: tuple[int, int], fps: float) -> None:
        self._width, self._height = size
        self._fps = fps
        self._bars_end = round(self._height * 0.70)
        self._digits = Digits(max(1, min(int(self._width * 0.6 / 72), int(self._height * 0.11 / 7))))
        gap = max(1, self._digits.height // 3)
        self._lines = [self._bars_end // 2 - self._digits.height - gap // 2, self._bars_end // 2 + gap // 2]
        self._panel_top = max(0, self._lines[0] - gap)
        self._panel_end = min(self._bars_end, self._lines[1] + self._digits.height + gap)
        self._radius = max(1, (code_top(self._height) - self._bars_end) // 4)
        self._background = self._draw_background()

    def draw(self, number: int, time_ns: int) -> BGR:
        """A new picture: `number` and the wall time `time_ns` are burnt in."""
        image = self._background.copy()
        seconds = number / self._fps
        self._draw_sweep(image, seconds)
        self._draw_ball(image, seconds)
        self._digits.draw(image, f"#{number:06d}", self._lines[0], self._width // 2)
        self._digits.draw(image, _time_of_day(time_ns), self._lines[1], self._width // 2)
        draw_frame_number(image, number)
        return image

    def _draw_background(self) -> BGR:
        image = np.empty((self._height, self._width, 3), dtype=np.uint8)
        columns = np.arange(self._width)
        image[:] = np.array(_BARS, dtype=np.uint8)[columns * len(_BARS) // self._width]
        ramp = (columns * 255 // max(1, self._width - 1)).astype(np.uint8)
        image[self._bars_end :] = ramp[np.newaxis, :, np.newaxis]
        half = min(self._width // 2, 7 * self._digits.advance)
        image[self._panel_top : self._panel_end, self._width // 2 - half : self._width // 2 + half] = _PANEL
        return image

    def _draw_sweep(self, image: BGR, seconds: float) -> None:
        """A bright line that crosses the bars behind the panel: judder and tearing show on it."""
        x = int(seconds / _SWEEP_S % 1 * self._width)
        end = x + max(1, self._width // 100)
        image[: self._panel_top, x:end] = 255
        image[self._panel_end : self._bars_end, x:end] = 255

    def _draw_ball(self, image: BGR, seconds: float) -> None:
        """A ball that bounces along the grey ramp."""
        radius, ground = self._radius, code_top(self._height) - 1
        phase = seconds / _BOUNCE_S % 1
        lift = 4 * phase * (1 - phase) * max(0, ground - self._bars_end - 2 * radius)
        x = radius + _there_and_back(seconds / _SWEEP_S) * max(0, self._width - 2 * radius)
        y = ground - radius - lift
        top, left = max(0, int(y) - radius), max(0, int(x) - radius)
        region = image[top : int(y) + radius + 1, left : int(x) + radius + 1]
        rows, columns = np.ogrid[top : top + region.shape[0], left : left + region.shape[1]]
        region[(rows - y) ** 2 + (columns - x) ** 2 <= radius * radius] = (0, 140, 255)


class TestPatternSource:
    """The test pattern at a steady rate.

    Args:
        size: (width, height) in pixels.
    """

    __test__ = False
    live = False

    def __init__(self, size: tuple[int, int] = DEFAULT_SIZE, fps: float = DEFAULT_FPS) -> None:
        self.fps = fps
        self.drops = Drops()
        self._size = size
        self._interrupted = threading.Event()
        self._pattern: TestPattern | None = None
        self._pacer = Pacer()
        self._number = 0

    def open(self) -> None:
        self._pattern = self._pattern or TestPattern(self._size, self.fps)
        self._pacer = Pacer()
        self._number = 0

    def read(self) -> Captured | None:
        """The next picture. The time burnt into it is its `capture_ns`."""
        if self._pattern is None or self._interrupted.is_set():
            return None
        now_ns = monotonic_ns()
        due_ns = self._pacer.deadline_ns(self._number * interval_ns(self.fps), now_ns)
        capture_ns = wall_ns() + max(0, due_ns - now_ns)
        # Drawn before it is due, so that drawing adds nothing to the age of the picture.
        picture = self._pattern.draw(self._number, capture_ns)
        self._number += 1
        return Captured(picture, capture_ns) if wait_until(due_ns, self._interrupted) else None

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self._pattern = None

    def __str__(self) -> str:
        return f"test pattern {self._size[0]}x{self._size[1]}"


def _there_and_back(turns: float) -> float:
    """0 to 1 and back to 0 while `turns` grows by 2."""
    phase = turns % 2
    return phase if phase <= 1 else 2 - phase


def _time_of_day(time_ns: int) -> str:
    moment = time.localtime(time_ns // 1_000_000_000)
    return f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}.{time_ns // 1_000_000 % 1000:03d}"
