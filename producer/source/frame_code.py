"""A machine-readable number in a picture, which survives lossy coding and scaling.

Two rows of sixteen black and white blocks across the bottom: 24 bits of the number, highest first, then
8 bits of a CRC over them. All positions are fractions of the picture's size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fanlight.common.codec.picture import BGR

MODULUS = 1 << 24
"""Numbers are kept modulo this: six days at 30 fps."""

_COLUMNS = 16
_ROWS = 2
_DARK, _BRIGHT = 16, 235
# A level in between: there is no code in this picture, or not at this position.
_DARK_BELOW, _BRIGHT_ABOVE = 90, 165


def code_top(height: int) -> int:
    """The first of the pixel rows that the code takes up."""
    return height - _ROWS * _row_height(height)


def draw_frame_number(image: BGR, number: int) -> None:
    """Overwrite the bottom of the picture with `number` modulo `MODULUS`."""
    number %= MODULUS
    word = number << 8 | _crc8(number.to_bytes(3, "big"))
    bits = np.array([word >> (31 - i) & 1 for i in range(_ROWS * _COLUMNS)], dtype=np.uint8)
    levels = np.where(bits, np.uint8(_BRIGHT), np.uint8(_DARK)).reshape(_ROWS, _COLUMNS)
    height, width = image.shape[:2]
    widths = np.diff(_edges(width))
    row_height = _row_height(height)
    for row in range(_ROWS):
        top = code_top(height) + row * row_height
        image[top : top + row_height] = np.repeat(levels[row], widths)[np.newaxis, :, np.newaxis]


def read_frame_number(image: BGR) -> int | None:
    """The number; None if there is none or it is damaged."""
    height, width = image.shape[:2]
    row_height = _row_height(height)
    if width < _COLUMNS or code_top(height) < 0:
        return None
    edges = _edges(width)
    word = 0
    for row in range(_ROWS):
        top = code_top(height) + row * row_height
        for column in range(_COLUMNS):
            left, right = int(edges[column]), int(edges[column + 1])
            # Only the middle of the block: coding blurs its edges.
            trim_x, trim_y = (right - left) // 4, row_height // 4
            block = image[top + trim_y : top + row_height - trim_y, left + trim_x : right - trim_x]
            level = float(block.mean())
            if _DARK_BELOW <= level <= _BRIGHT_ABOVE:
                return None
            word = word << 1 | (level > 128)
    number, check = word >> 8, word & 0xFF
    return number if check == _crc8(number.to_bytes(3, "big")) else None


def _row_height(height: int) -> int:
    return max(1, height // 14)


def _edges(width: int) -> npt.NDArray[np.int64]:
    return np.arange(_COLUMNS + 1, dtype=np.int64) * width // _COLUMNS


def _crc8(data: bytes) -> int:
    """CRC-8 with polynomial 0x07, started at 0xFF so that an all-black picture does not read as 0."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
