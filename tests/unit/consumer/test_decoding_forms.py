"""The pictures that come out of `Decoding`, whatever went in."""

from __future__ import annotations

import numpy as np
import pytest

from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import FULL_BGR, Form, PixelFormat, shape
from fanlight.consumer.decoding import Decoding
from tests.unit.consumer.test_decoding import film


def unbroken() -> None:
    raise AssertionError("nothing is broken here")


@pytest.mark.parametrize("way", ["at once", "prepare", "decode_ahead"])
@pytest.mark.parametrize("form", [FULL_BGR, Form(PixelFormat.GREY), Form(PixelFormat.I420, (32, 24))])
@pytest.mark.parametrize("codec", Codec)
def test_pictures_are_of_the_form_that_is_wanted_and_read_only(codec: Codec, form: Form, way: str) -> None:
    """As those that a hub shares are: a program must not work by one way and fail by the other."""
    decoding = Decoding(form, unbroken)
    (frame,) = film(1, codec=codec)
    if way != "at once":
        getattr(decoding, way)(frame)
    image = decoding.pixels(frame)
    assert isinstance(image, np.ndarray)
    assert image.shape == shape(form.format, *form.sized(64, 48))
    assert image.flags.writeable is False
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 0
