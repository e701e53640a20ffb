from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.pixels import (
    FULL_BGR,
    PIXEL_FORMAT,
    PictureFormat,
    PixelFormat,
    shape,
    size_bytes,
    three_channels,
)

formats = st.sampled_from(PixelFormat)
sides = st.integers(1, 16384)


@pytest.mark.parametrize(
    ("picture_format", "text"),
    [
        (FULL_BGR, "bgr"),
        (PictureFormat(PixelFormat.GREY), "grey"),
        (PictureFormat(PixelFormat.I420, (640, 360)), "i420-640x360"),
        (PictureFormat(PixelFormat.BGR, (16384, 1)), "bgr-16384x1"),
    ],
)
def test_a_form_as_text(picture_format: PictureFormat, text: str) -> None:
    assert str(picture_format) == f"{picture_format}" == text


@pytest.mark.parametrize(
    ("picture_format", "stream", "size"),
    [
        (FULL_BGR, (641, 361), (641, 361)),
        (PictureFormat(PixelFormat.GREY), (641, 361), (641, 361)),
        (PictureFormat(PixelFormat.I420), (641, 361), (640, 360)),
        (PictureFormat(PixelFormat.I420), (640, 360), (640, 360)),
        (PictureFormat(PixelFormat.I420), (1, 1), (2, 2)),
        (PictureFormat(PixelFormat.BGR, (321, 181)), (640, 360), (321, 181)),
        (PictureFormat(PixelFormat.I420, (321, 181)), (640, 360), (320, 180)),
        (PictureFormat(PixelFormat.I420, (1, 9)), (640, 360), (2, 8)),
    ],
)
def test_a_size_is_that_of_the_form_or_that_of_the_stream(
    picture_format: PictureFormat, stream: tuple[int, int], size: tuple[int, int]
) -> None:
    assert picture_format.sized(*stream) == size


@pytest.mark.parametrize(
    ("pixel_format", "expected", "count"),
    [
        (PixelFormat.BGR, (360, 640, 3), 691_200),
        (PixelFormat.GREY, (360, 640), 230_400),
        (PixelFormat.I420, (540, 640), 345_600),
    ],
)
def test_every_format_has_its_shape_and_its_size(
    pixel_format: PixelFormat, expected: tuple[int, ...], count: int
) -> None:
    assert shape(pixel_format, 640, 360) == expected
    assert size_bytes(pixel_format, 640, 360) == count


@given(formats, st.none() | st.tuples(sides, sides), sides, sides)
def test_the_shape_holds_as_many_bytes_as_the_size_says(
    pixel_format: PixelFormat, size: tuple[int, int] | None, width: int, height: int
) -> None:
    result = PictureFormat(pixel_format, size).sized(width, height)
    assert math.prod(shape(pixel_format, *result)) == size_bytes(pixel_format, *result) > 0
    assert PictureFormat(pixel_format, result).sized(width, height) == result, "it is a size already"


@pytest.mark.parametrize("pixel_format", PixelFormat)
def test_a_format_is_read_by_its_name(pixel_format: PixelFormat) -> None:
    assert PIXEL_FORMAT.read(str(pixel_format)) is pixel_format


def test_both_spellings_of_grey_are_one_format() -> None:
    assert PIXEL_FORMAT.read("gray") is PixelFormat("gray") is PixelFormat.GREY
    assert str(PixelFormat("gray")) == "grey"


@pytest.mark.parametrize("text", ["", "BGR", "Gray", "bgr ", "rgb"])
def test_an_unknown_name_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"^bgr, i420, grey$"):
        PIXEL_FORMAT.read(text)


def test_three_channels_is_a_view_that_can_be_copied_into_bgr() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    view = three_channels(grey)
    assert view.shape == (3, 4, 1)
    assert np.shares_memory(view, grey)
    into = np.zeros((3, 4, 3), np.uint8)
    into[:] = view
    assert (into == np.stack([grey] * 3, axis=2)).all()
