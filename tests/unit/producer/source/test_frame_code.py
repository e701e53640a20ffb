from __future__ import annotations

import numpy as np
import pytest

from fanlight.common.codec.picture import BGR
from fanlight.producer.source.frame_code import MODULUS, code_top, draw_frame_number, read_frame_number

SIZES = [(1280, 720), (641, 481), (64, 48), (1920, 1080), (33, 29)]
NUMBERS = [0, 1, 255, 0x555555, 0xAAAAAA, MODULUS - 1]


def grey(size: tuple[int, int]) -> BGR:
    return np.full((size[1], size[0], 3), 128, np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_drawn_is_read(size: tuple[int, int], number: int) -> None:
    image = grey(size)
    draw_frame_number(image, number)
    assert read_frame_number(image) == number


def test_nothing_above_the_code_is_touched() -> None:
    image = grey((641, 481))
    draw_frame_number(image, 0x123456)
    assert (image[: code_top(481)] == 128).all()
    assert set(np.unique(image[code_top(481) :])) == {16, 235}


@pytest.mark.parametrize("level", [0, 24, 128, 255])
def test_an_empty_picture_has_no_number(level: int) -> None:
    assert read_frame_number(np.full((48, 64, 3), level, np.uint8)) is None


def test_a_faint_code_is_not_ours() -> None:
    image = grey((160, 140))
    draw_frame_number(image, 0x5A17C3)
    faint = np.where(image > 128, 150, 100).astype(np.uint8)
    assert read_frame_number(faint) is None


@pytest.mark.parametrize("bit", range(32))
def test_any_flipped_block_is_noticed(bit: int) -> None:
    image = grey((160, 140))
    draw_frame_number(image, 0x5A17C3)
    row, column = divmod(bit, 16)
    top = code_top(140) + row * 10
    block = image[top : top + 10, column * 10 : column * 10 + 10]
    block[:] = 251 - block
    assert read_frame_number(image) is None


@pytest.mark.parametrize("size", [(1, 1), (15, 200), (200, 1)])
def test_a_picture_too_small_for_it_has_no_number(size: tuple[int, int]) -> None:
    image = grey(size)
    draw_frame_number(image, 5)
    assert read_frame_number(image) is None
