"""Draws what detectors found onto a picture, with the colours of the wall's page (static/js/drawing.js).

By OpenCV, as the window that shows it: its built-in font has no letters beyond ASCII in OpenCV 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fanlight.common.model.pixels import Pixels
from fanlight.common.model.result import Result

Colour = tuple[int, int, int]

COLOURS: Final[tuple[Colour, ...]] = (
    (255, 216, 80), (60, 180, 255), (120, 230, 120), (200, 120, 255), (90, 230, 255), (255, 150, 180),
)  # fmt: skip
"""Blue first. Each detector has one of them."""
_WHITE: Final = (255, 255, 255)
_SHADE: Final = 0.26
# Of the height of the picture, and the least in pixels.
_LINE: Final = 1 / 300
_CAPITAL: Final = 1 / 45
_LEAST_LINE_PX: Final = 2
_LEAST_CAPITAL_PX: Final = 8
# In every OpenCV: 4 draws it with strokes, 5 takes a font of its own for it.
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
# Outlines longer than so many times both sides of the picture are drawn thin: thirty times as fast. Those
# of one result may be ten thousand times as long as the picture, and would take a second.
_MOST_THICK: Final = 100
# What OpenCV takes as a coordinate has 32 bits.
_FARTHEST_PX: Final = 1 << 20


def colour_of(name: str) -> Colour:
    """The colour of a detector: the same in every window and on every page."""
    return COLOURS[sum(name.encode()) % len(COLOURS)]


def caption(result: Result, index: int) -> str:
    """What stands beside a box: `face 0.93`."""
    label = result.labels[index : index + 1]
    score = [f"{each:.2f}" for each in result.scores[index : index + 1]]
    return " ".join(part for part in (*label, *score) if part)


def draw_results(canvas: Pixels, results: Iterable[Result] | Mapping[str, Result]) -> None:
    """Draw boxes, points, polygons and texts onto a picture, as `window` does. Needs OpenCV.

        frame = frame.copy()
        fanlight.draw_results(frame.image, frame.results)

    Args:
        canvas: uint8, (height, width, 3), BGR: the picture in which they were found, in any size.
        results: those of `Frame.results`; each is scaled from the size of its own picture.
    """
    for result in results.values() if isinstance(results, Mapping) else results:
        _draw(canvas, result)


def _draw(canvas: Pixels, result: Result) -> None:
    height, width = canvas.shape[:2]
    colour = colour_of(result.name)
    line_px = max(_LEAST_LINE_PX, round(height * _LINE))
    scale = np.array((width / result.width, height / result.height))

    def placed(points: Sequence[Sequence[float]]) -> npt.NDArray[np.int32]:
        pixels = np.asarray(points, np.float64).reshape(-1, 2) * scale
        near: npt.NDArray[np.float64] = np.clip(np.rint(pixels), -_FARTHEST_PX, _FARTHEST_PX)
        return near.astype(np.int32)

    polygons = [placed(each) for each in result.polygons if each]
    visible = (np.clip(each, 0, (width, height)) for each in polygons)
    length_px = sum(int(np.abs(np.diff(each, axis=0)).sum()) for each in visible)
    if length_px <= _MOST_THICK * (width + height):
        cv2.polylines(canvas, polygons, True, colour, line_px, cv2.LINE_AA)
    else:
        cv2.polylines(canvas, polygons, True, colour)
    corners = placed(result.boxes).reshape(-1, 2, 2).tolist()
    for start, end in corners:
        cv2.rectangle(canvas, start, end, colour, line_px)
    for point in placed(result.points).tolist():
        cv2.circle(canvas, point, line_px * 3 // 2, colour, cv2.FILLED, cv2.LINE_AA)
    captions = [(start, caption(result, index)) for index, (start, _) in enumerate(corners)]
    places = placed([(x, y) for x, y, _ in result.texts]).tolist()
    captions += [(place, text) for place, (_, _, text) in zip(places, result.texts, strict=True)]
    capital_px = max(_LEAST_CAPITAL_PX, round(height * _CAPITAL))
    for (left, bottom), text in captions:
        if text:
            # Inside the picture if this is its upper edge.
            top = max(0, bottom - 2 * capital_px)
            draw_text(canvas, text, (left, top), capital_px, capital_px // 2, shade=_SHADE)


def draw_text(
    canvas: Pixels,
    text: str,
    corner: tuple[int, int],
    capital_px: int,
    padding_px: int,
    *,
    stroke_px: int = 1,
    colour: Colour = _WHITE,
    shade: float = 0.0,
) -> None:
    """Draw a line of text on a box of which `corner` is the upper left one, cut to the canvas.

    Args:
        capital_px: height of its capitals.
        shade: brightness of the picture under the box: white text is readable on any picture.
    """
    left, top = corner
    font_scale = cv2.getFontScaleFromHeight(_FONT, capital_px, stroke_px)
    (text_px, _), _ = cv2.getTextSize(text, _FONT, font_scale, stroke_px)
    right, bottom = left + text_px + 2 * padding_px, top + capital_px + 2 * padding_px
    box = canvas[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    np.multiply(box, shade, out=box, casting="unsafe")
    origin = (left + padding_px, top + padding_px + capital_px)
    cv2.putText(canvas, text, origin, _FONT, font_scale, colour, stroke_px, cv2.LINE_AA)
