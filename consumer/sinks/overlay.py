"""The small label in the corner of a window."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fanlight.common.model.pixels import Pixels
from fanlight.consumer.stats import ConsumerStats

MARGIN_PX: Final = 10
_PADDING_PX: Final = 9
_FONT_PX: Final = 17
_WEIGHT: Final = 500
_WHITE: Final = (255, 255, 255)
_AMBER: Final = (60, 190, 255)
# What is left of the picture behind the label: dark enough to read white on snow.
_SHADE: Final = 0.35


def label_text(name: str, stats: ConsumerStats) -> str:
    """`c1   30.0 fps   12 ms`: the name, the rate shown and the median age."""
    age = "-" if stats.age_p50_s is None else f"{stats.age_p50_s * 1e3:.0f}"
    return f"{name}   {stats.fps:.1f} fps   {age} ms"


class Label:
    """Draws text on a shaded box, in the font that OpenCV 5 brings along (it needs none installed)."""

    def __init__(self) -> None:
        self._font = cv2.FontFace("sans")

    def draw(self, canvas: Pixels, text: str, *, warning: bool = False) -> None:
        """Draw into the top left corner of `canvas`, (height, width, 3), cut to its size."""
        height, width = canvas.shape[:2]
        _, _, text_width, _ = cv2.getTextSize((width, height), text, (0, 0), self._font, _FONT_PX, _WEIGHT)
        right = min(width, MARGIN_PX + text_width + 2 * _PADDING_PX)
        bottom = min(height, MARGIN_PX + _FONT_PX + 2 * _PADDING_PX)
        box = canvas[MARGIN_PX:bottom, MARGIN_PX:right]
        # A warning stands over an older label, which must not show through.
        np.multiply(box, 0 if warning else _SHADE, out=box, casting="unsafe")
        # Capitals are about 0.72 of the font's size: this puts them into the middle of the box.
        baseline = MARGIN_PX + _PADDING_PX + round(_FONT_PX * 0.86)
        colour = _AMBER if warning else _WHITE
        origin = (MARGIN_PX + _PADDING_PX, baseline)
        cv2.putText(canvas, text, origin, colour, self._font, _FONT_PX, _WEIGHT)
