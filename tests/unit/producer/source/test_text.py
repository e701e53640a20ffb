from __future__ import annotations

import numpy as np

from fanlight.common.codec.picture import BGR
from fanlight.producer.source.text import draw_text


def drawn(text: str, size: tuple[int, int] = (100, 20), top: int = 5, scale: int = 1) -> BGR:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    draw_text(image, text, top, scale=scale)
    return image


def test_every_character_looks_different() -> None:
    assert len({drawn(character).tobytes() for character in "0123456789:.#"}) == 13


def test_a_line_that_does_not_fit_is_not_drawn() -> None:
    assert not drawn("1", top=14).any()
    assert not drawn("1", top=-1).any()
    assert not drawn("1234", size=(23, 20)).any()
    assert drawn("1234", size=(24, 20)).any()
