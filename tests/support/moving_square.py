"""A stream in whose every picture a square is somewhere else, and a detector that finds it.

What is drawn in place frames the square of that very picture; what belongs to another one does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer, Frame
from fanlight.consumer.drawing import colour_of
from fanlight.consumer.results import Results
from fanlight.producer import Producer
from tests.support.detecting import Detecting
from tests.support.feeder import Feeder

# That of a window before its first frame: whether Qt resizes it does not matter.
SIZE: Final = (640, 360)
NAME: Final = "squares"
COLOUR: Final = colour_of(NAME)
_SIDE_PX: Final = 48
MARGIN_PX: Final = 16
_COLUMNS, _ROWS = 5, 3
_STRIDE: Final = 7  # so that the places of two pictures in a row are far apart
_DARK, _BRIGHT = 60, 235

Box = tuple[int, int, int, int]


def picture(number: int) -> Pixels:
    """The square is in one of 15 places."""
    place = number * _STRIDE % (_COLUMNS * _ROWS)
    left = 24 + place % _COLUMNS * 88
    top = 84 + place // _COLUMNS * 80
    image = np.full((SIZE[1], SIZE[0], 3), _DARK, np.uint8)
    image[top : top + _SIDE_PX, left : left + _SIDE_PX] = _BRIGHT
    return image


def square_in(image: Pixels) -> Box | None:
    """Left, top, right and bottom of the square that is in these pixels, if there is one."""
    bright = image.min(axis=2) > 190
    # Letters are bright too, but thin.
    columns = np.nonzero(bright.sum(axis=0) > image.shape[0] * 0.08)[0]
    rows = np.nonzero(bright[:, columns].mean(axis=1) > 0.8)[0] if columns.size else columns
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def is_framed(image: Pixels) -> bool:
    """Whether the box of the detector is around the square: all four of its sides, and none elsewhere."""
    scale = image.shape[1] / SIZE[0]
    square = square_in(image)
    rows, columns = np.nonzero(coloured(image))
    if square is None or not rows.size:
        return False
    wanted = around(square, MARGIN_PX * scale)
    found = columns.min(), rows.min(), columns.max(), rows.max()
    return all(abs(one - other) <= 4 * scale for one, other in zip(found, wanted, strict=True))


def around(square: Box, margin_px: float = MARGIN_PX) -> tuple[float, float, float, float]:
    """A box around the square that does not touch it."""
    left, top, right, bottom = square
    return left - margin_px, top - margin_px, right + margin_px, bottom + margin_px


def coloured(image: Pixels) -> np.ndarray:
    """Where the pixels have the detector's colour."""
    apart: np.ndarray = np.abs(image.astype(np.int16) - COLOUR).max(axis=2)
    return apart < 40


class Squares(Feeder):
    """Sends such pictures."""

    def __init__(self, url: str, stream: str, *, fps: float, codec: str) -> None:
        super().__init__(Producer(stream=stream, codec=codec, fps=fps, max_age_s=5, url=url), fps)
        self._number = 0

    def picture(self, capture_ns: int) -> Pixels:
        self._number += 1
        return picture(self._number)


class SquareDetecting(Detecting):
    """Finds the square, and has a box drawn around it."""

    def send(self, frame: Frame) -> None:
        square = square_in(frame.image)
        assert square is not None
        self.out.send(frame, boxes=[around(square)])
        self.sent.append((frame.epoch, frame.seq))


@contextmanager
def squares(
    url: str, stream: str, *, fps: float = 10, codec: str = "h264", detector_url: str | None = None
) -> Iterator[SquareDetecting]:
    """The stream and its detector, until the block ends."""
    detector_url = detector_url or url
    consumer = Consumer(stream, NAME, max_age_s=5, url=detector_url)
    with (
        SquareDetecting(consumer, Results(stream, NAME, url=detector_url)) as detecting,
        Squares(url, stream, fps=fps, codec=codec),
    ):
        yield detecting
