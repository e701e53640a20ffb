"""What is drawn onto a picture: where, in which colour, and that nothing can break it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.common.model.pixels import Pixels
from fanlight.common.model.result import MAX_COORDINATE
from fanlight.consumer.drawing import COLOURS, caption, colour_of, draw_results, draw_text
from tests.support.found import found

SCRIPT = Path(__file__).parents[3] / "consumer/wall/static/js/drawing.js"
GREY = 100


def canvas(width: int = 640, height: int = 360) -> Pixels:
    return np.full((height, width, 3), GREY, np.uint8)


def drawn(width: int = 640, height: int = 360, **content: Any) -> Pixels:
    """A canvas on which this was drawn, found in a picture of 640 x 360."""
    picture = canvas(width, height)
    result = found(size=(640, 360), **content)
    draw_results(picture, {result.name: result})  # as `Frame.results`
    return picture


def extent(picture: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what was drawn."""
    rows, columns = np.nonzero((picture != GREY).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_a_box_is_an_outline_where_it_was_found() -> None:
    picture = drawn(boxes=((100.0, 50.0, 300.0, 250.0),))
    assert extent(picture) == pytest.approx((100, 50, 300, 250), abs=2)
    for x, y in ((100, 150), (300, 150), (200, 50), (200, 250)):
        assert tuple(picture[y, x]) == colour_of("faces")
    assert (picture[60:240, 110:290] == GREY).all()


@pytest.mark.parametrize("times", [0.5, 2])
def test_a_canvas_of_another_size_has_it_at_the_same_place(times: float) -> None:
    picture = drawn(int(640 * times), int(360 * times), boxes=((100.0, 50.0, 300.0, 250.0),))
    assert extent(picture) == pytest.approx([times * each for each in (100, 50, 300, 250)], abs=3)


def test_outlines_as_long_as_a_hostile_detector_makes_them_are_drawn_thin() -> None:
    line = ((20.0, 180.0), (620.0, 180.0))
    once, often = drawn(polygons=(line,)), drawn(polygons=(line * 1000,))
    rows = [np.nonzero((picture[:, 320] != GREY).any(axis=1))[0] for picture in (once, often)]
    assert len(rows[0]) >= 2
    assert rows[1].tolist() == [180]


def test_points_polygons_and_texts_are_drawn_too() -> None:
    assert extent(drawn(points=((320.0, 180.0),))) == pytest.approx((320, 180, 320, 180), abs=5)
    triangle = drawn(polygons=(((100.0, 100.0), (200.0, 100.0), (150.0, 200.0)),))
    assert extent(triangle) == pytest.approx((100, 100, 200, 200), abs=3)
    assert (triangle[110:150, 140:160] == GREY).all()
    left, _, _, bottom = extent(drawn(texts=((50.0, 300.0, "parcel"),)))
    assert (left, bottom) == pytest.approx((50, 300), abs=3)


def test_a_caption_stands_on_its_box_and_in_the_picture() -> None:
    box = drawn(boxes=((100.0, 100.0, 200.0, 200.0),))
    captioned = drawn(boxes=((100.0, 100.0, 200.0, 200.0),), labels=("face",), scores=(0.9,))
    assert extent(captioned)[1] < extent(box)[1] - 10
    at_the_edge = drawn(boxes=((100.0, 0.0, 200.0, 200.0),), labels=("face",))
    assert at_the_edge[:20].max() > 200, "white letters"


def test_a_caption_has_what_there_is() -> None:
    boxes = ((0.0, 0.0, 1.0, 1.0),) * 2
    assert caption(found(boxes=boxes, labels=("a", "b"), scores=(0.934, 0.5)), 1) == "b 0.50"
    assert caption(found(boxes=boxes, labels=("a", "")), 1) == ""
    assert caption(found(boxes=boxes, scores=(0.934, 1.0)), 0) == "0.93"
    assert caption(found(boxes=boxes), 0) == ""


def test_the_page_has_the_same_colours() -> None:
    listed = re.search(r"COLOURS = \[(.*?)\]", SCRIPT.read_text())
    assert listed is not None
    hexadecimal = [bytes.fromhex(each) for each in re.findall(r"#(\w{6})", listed[1])]
    assert [(blue, green, red) for red, green, blue in hexadecimal] == list(COLOURS)
    assert len({colour_of(name) for name in ("faces", "codes", "motion", "people")}) > 1


COORDINATE = st.floats(-MAX_COORDINATE, MAX_COORDINATE) | st.floats(-100, 800)
POINT = st.tuples(COORDINATE, COORDINATE)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    of=st.tuples(st.sampled_from((1, 640, 16384)), st.sampled_from((1, 360, 16384))),
    boxes=st.lists(st.tuples(POINT, POINT), max_size=3),
    points=st.lists(POINT, max_size=3),
    polygons=st.lists(st.lists(POINT, max_size=4), max_size=3),
    text=st.text(max_size=20),
)
def test_nothing_that_a_result_may_contain_breaks_it(
    size: tuple[int, int],
    of: tuple[int, int],
    boxes: list[Any],
    points: list[Any],
    polygons: list[Any],
    text: str,
) -> None:
    result = found(
        size=of,
        boxes=tuple((*start, *end) for start, end in boxes),
        labels=(text,) * len(boxes),
        points=tuple(points),
        polygons=tuple(map(tuple, polygons)),
        texts=tuple((x, y, text) for x, y in points),
    )
    draw_results(canvas(*size), [result])


def test_a_text_that_is_cut_is_no_problem() -> None:
    for corner in ((-500, -500), (-5, -5), (630, 350), (5000, 5000)):
        draw_text(canvas(), "text", corner, 14, 9)
