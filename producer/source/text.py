"""Draws the number and the time of the test pattern, without a graphics library."""

from __future__ import annotations

import numpy as np

from fanlight.common.codec.picture import BGR

BACKGROUND = 24
_FOREGROUND = 235
# Characters of 5x7 dots: one number per row, the highest bit on the left.
_FONT = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 6, 8, 16, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    ":": (0, 4, 4, 0, 4, 4, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
    "#": (10, 10, 31, 10, 31, 10, 10),
}
WIDTH, HEIGHT = 6, 7
"""Size of a character in dots, with one column of space."""


def draw_text(image: BGR, text: str, top: int, *, scale: int) -> None:
    """Draw one line, horizontally centred, `scale` pixels per dot; nothing if it does not fit."""
    rows = np.array([_FONT[character] for character in text]).T << 1  # the space is the lowest bit
    bits = (rows[:, :, np.newaxis] >> np.arange(WIDTH)[::-1] & 1).reshape(HEIGHT, -1)
    levels = np.where(bits, np.uint8(_FOREGROUND), np.uint8(BACKGROUND))
    line = levels.repeat(scale, axis=0).repeat(scale, axis=1)[:, :, np.newaxis]
    height, width = line.shape[:2]
    left = (image.shape[1] - width) // 2
    if left >= 0 and 0 <= top <= image.shape[0] - height:
        image[top : top + height, left : left + width] = line
