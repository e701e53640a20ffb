"""A moving test picture that needs no camera: colour bars, the frame number, the time of day."""

from __future__ import annotations

import threading
import time

import numpy as np

from fanlight.common.codec.picture import BGR
from fanlight.producer.source.base import Captured
from fanlight.producer.source.frame_code import draw_frame_number, read_frame_number
from fanlight.producer.source.pacing import Clock, Pacer, interval_ns
from fanlight.producer.source.text import BACKGROUND, HEIGHT, WIDTH, draw_text
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
_SWEEP_S = 4.0


class TestPattern:
    """Draws the pictures. The static background is drawn once and copied."""

    __test__ = False  # not a test case, despite its name

    def __init__(self, size: tuple[int, int], fps: float) -> None:
        width, height = size
        self._fps = fps
        self._bars_end = round(height * 0.70)
        self._scale = max(1, min(int(width * 0.6 / 12 / WIDTH), int(height * 0.11 / HEIGHT)))
        line_px = HEIGHT * self._scale
        gap_px = max(1, line_px // 3)
        middle = self._bars_end // 2
        self._lines = (middle - line_px - gap_px // 2, middle + gap_px // 2)
        self._panel = slice(
            max(0, self._lines[0] - gap_px), min(self._bars_end, self._lines[1] + line_px + gap_px)
        )
        self._background = self._draw_background(width, height)

    def draw(self, number: int, time_ns: int) -> BGR:
        """A new picture that shows `number` and the wall time `time_ns`."""
        image = self._background.copy()
        self._draw_sweep(image, number / self._fps)
        draw_text(image, f"#{number:06d}", self._lines[0], scale=self._scale)
        draw_text(image, time_of_day(time_ns), self._lines[1], scale=self._scale)
        draw_frame_number(image, number)
        return image

    def _draw_background(self, width: int, height: int) -> BGR:
        image = np.empty((height, width, 3), dtype=np.uint8)
        columns = np.arange(width)
        image[:] = np.array(_BARS, dtype=np.uint8)[columns * len(_BARS) // width]
        ramp = (columns * 255 // max(1, width - 1)).astype(np.uint8)
        image[self._bars_end :] = ramp[np.newaxis, :, np.newaxis]
        half = min(width // 2, 7 * WIDTH * self._scale)
        image[self._panel, width // 2 - half : width // 2 + half] = BACKGROUND
        return image

    def _draw_sweep(self, image: BGR, seconds: float) -> None:
        """A bright line that crosses the bars behind the panel: judder and tearing show on it."""
        width = image.shape[1]
        x = int(seconds / _SWEEP_S % 1 * width)
        end = x + max(1, width // 100)
        image[: self._panel.start, x:end] = 255
        image[self._panel.stop : self._bars_end, x:end] = 255


class TestPatternSource:
    """The test pattern at a steady rate.

    Args:
        size: (width, height) in pixels.
    """

    __test__ = False
    live = False
    wait_s = 0.0

    def __init__(
        self,
        size: tuple[int, int] = DEFAULT_SIZE,
        fps: float = DEFAULT_FPS,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.fps = fps
        self.drops = Drops()
        self._size = size
        self._clock = clock or Clock()
        self._interrupted = threading.Event()
        self._pattern: TestPattern | None = None
        self._pacer = Pacer()
        self._number = 0

    def open(self) -> None:
        self._pattern = self._pattern or TestPattern(self._size, self.fps)
        self._pacer = Pacer()
        self._number = 0

    def read(self) -> Captured | None:
        """The next picture. The time that it shows is its `capture_ns`."""
        if self._pattern is None or self._interrupted.is_set():
            return None
        now_ns = self._clock.monotonic_ns()
        due_ns = self._pacer.deadline_ns(self._number * interval_ns(self.fps), now_ns)
        capture_ns = self._clock.wall_ns() + max(0, due_ns - now_ns)
        # Drawn before it is due: the drawing time does not add to the age of the picture.
        picture = self._pattern.draw(self._number, capture_ns)
        self._number += 1
        due = self._clock.wait_until(due_ns, self._interrupted)
        return Captured(picture, capture_ns) if due else None

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self._pattern = None

    def __str__(self) -> str:
        return f"test pattern {self._size[0]}x{self._size[1]}"


def time_of_day(time_ns: int) -> str:
    """The local time, to the millisecond."""
    moment = time.localtime(time_ns // 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', moment)}.{time_ns // 1_000_000 % 1000:03d}"
