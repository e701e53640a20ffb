from __future__ import annotations

import av
import numpy as np
import pytest

from fanlight.common.codec.raw import RawDecoder, RawEncoder
from fanlight.common.model.errors import EncodeError
from fanlight.common.model.frame import Codec
from tests.unit.common.codec.build import encode, framed, noise


@pytest.mark.parametrize("size", [(640, 480), (641, 481), (1, 1)])
def test_pictures_come_back_bit_exact(size: tuple[int, int]) -> None:
    decoder = RawDecoder()
    for seed in (1, 2):
        image = decoder.decode(encode(Codec.RAW, noise(*size, seed))).pixels()
        assert np.array_equal(image, noise(*size, seed))
    decoder.reset()


def test_the_body_is_the_pixels_row_by_row_without_padding() -> None:
    picture = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    encoded = RawEncoder().encode(picture, key=False)
    assert (encoded.body, encoded.key) == (bytes([1, 2, 3, 4, 5, 6]), True)
    frame = av.VideoFrame.from_ndarray(noise(641, 3), format="bgr24")
    assert RawEncoder().encode(frame, key=False).body == noise(641, 3).tobytes()


def test_the_body_is_not_copied_and_cannot_be_written_to() -> None:
    body = bytes(range(12))
    image = RawDecoder().decode(framed(Codec.RAW, body, (2, 2))).pixels()
    assert np.shares_memory(image, np.frombuffer(body, np.uint8))
    assert not image.flags.writeable


def test_more_than_a_message_may_hold_is_an_error() -> None:
    with pytest.raises(EncodeError, match=r"raw 3840x2160 is 24\.9 MB: allowed is up to 16\.8 MB a frame"):
        RawEncoder().encode(np.zeros((2160, 3840, 3), np.uint8), key=False)
