"""Digits for burning a number and a time into a picture, without a graphics library."""

from __future__ import annotations

import numpy as np

from fanlight.common.codec.picture import BGR

_FONT = {
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "11111 00010 00100 00010 00001 10001 01110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    ":": "00000 00100 00100 00000 00100 00100 00000",
    ".": "00000 00000 00000 00000 00000 01100 01100",
    "#": "01010 01010 11111 01010 11111 01010 01010",
}
_ADVANCE, _HEIGHT = 6, 7
_INK, _PAPER = 235, 24


class Digits:
    """Bright text on a dark ground, every dot of the 5x7 font `scale` pixels wide."""

    def __init__(self, scale: int) -> None:
        self.height = _HEIGHT * scale
        self.advance = _ADVANCE * scale
        self._glyphs = {character: _glyph(rows.split(), scale) for character, rows in _FONT.items()}

    def draw(self, image: BGR, text: str, top: int, centre: int) -> None:
        """Write one line around column `centre`; what does not fit is cut off on the left."""
        height, width = image.shape[:2]
        text = text[max(0, len(text) - width // self.advance) :]
        left = max(0, centre - len(text) * self.advance // 2)
        if not text or top < 0 or top + self.height > height or left + len(text) * self.advance > width:
            return
        line = np.concatenate([self._glyphs[character] for character in text], axis=1)
        image[top : top + self.height, left : left + line.shape[1]] = line


def _glyph(rows: list[str], scale: int) -> BGR:
    dots = np.array([[int(dot) for dot in row + "0"] for row in rows], dtype=np.uint8)
    levels = np.where(dots == 1, np.uint8(_INK), np.uint8(_PAPER))
    return np.repeat(levels.repeat(scale, axis=0).repeat(scale, axis=1)[:, :, np.newaxis], 3, axis=2)
