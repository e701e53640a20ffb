from __future__ import annotations

import numpy as np

from fanlight.common.codec.picture import BGR
from fanlight.producer.source.digits import Digits


def drawn(text: str, size: tuple[int, int] = (100, 20), scale: int = 1, top: int = 5) -> BGR:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    Digits(scale).draw(image, text, top, size[0] // 2)
    return image


def test_every_character_looks_different() -> None:
    pictures = {character: drawn(character).tobytes() for character in "0123456789:.#"}
    assert len(set(pictures.values())) == 13


def test_a_one_is_a_one() -> None:
    rows = drawn("1", size=(6, 7), top=0)[:, :, 0] > 128
    assert ["".join("#" if dot else "." for dot in row) for row in rows] == [
        "..#...",
        ".##...",
        "..#...",
        "..#...",
        "..#...",
        "..#...",
        ".###..",
    ]


def test_what_does_not_fit_is_cut_off_on_the_left() -> None:
    assert (drawn("12345", size=(18, 20)) == drawn("345", size=(18, 20))).all()


def test_a_line_below_the_picture_is_left_out() -> None:
    assert not drawn("1", size=(100, 20), top=14).any()
    assert not drawn("1", size=(100, 20), top=-1).any()
