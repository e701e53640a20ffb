from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from fanlight.common.codec.png import PngDecoder, PngEncoder
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec
from tests.unit.common.codec.build import encode, film, framed, gradient, noise


def test_pictures_of_any_size_come_back_bit_exact_from_one_decoder() -> None:
    """FFmpeg 8's PNG decoder goes wrong on its second file; ours must not."""
    encoder, decoder = PngEncoder(compression_level=1), PngDecoder()
    for picture in (*film(), noise(1280, 720), noise(64, 48), noise(48, 64), *film()):
        body = encoder.encode(picture, key=False).body
        height, width = picture.shape[:2]
        assert np.array_equal(decoder.decode(framed(Codec.PNG, body, (width, height))).pixels(), picture)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("size", [(641, 481), (1, 1), (3, 2)])
def test_every_size_and_level_is_bit_exact(size: tuple[int, int], level: int) -> None:
    body = PngEncoder(compression_level=level).encode(noise(*size), key=False).body
    image = PngDecoder().decode(framed(Codec.PNG, body, size)).pixels()
    assert np.array_equal(image, noise(*size))
    image[0, 0] = 0


def test_frames_may_be_decoded_in_any_order() -> None:
    """`pixels` may be called after the next frame was passed in."""
    decoder = PngDecoder()
    first, second = (decoder.decode(encode(Codec.PNG, noise(64, 48, seed))) for seed in (1, 2))
    decoder.reset()
    assert np.array_equal(second.pixels(), noise(64, 48, 2))
    assert np.array_equal(first.pixels(), noise(64, 48, 1))


def test_a_second_header_chunk_does_not_change_the_size() -> None:
    body = encode(Codec.PNG, gradient(64, 48)).body
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 3000, 3000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for forged in (body[:33] + chunk + body[33:], body[:-12] + chunk + body[-12:]):
        try:
            image = PngDecoder().decode(framed(Codec.PNG, forged, (64, 48))).pixels()
        except DecodeError:
            continue
        assert image.shape == (48, 64, 3)
