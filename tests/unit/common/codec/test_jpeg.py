from __future__ import annotations

import numpy as np
import pytest

from fanlight.common.codec import decoder
from fanlight.common.codec.jpeg import JpegEncoder, without_trailer
from fanlight.common.model.errors import DecodeError, EncodeError
from fanlight.common.model.frame import Codec
from tests.unit.common.codec.build import encode, film, framed, gradient


def test_a_higher_quality_takes_more_bytes() -> None:
    sizes = [len(JpegEncoder(quality=q).encode(film()[0], key=False).body) for q in (20, 50, 80, 95)]
    assert sizes == sorted(sizes)


def test_a_size_that_the_codec_cannot_encode_is_an_error() -> None:
    with pytest.raises(EncodeError, match="70000x1"):
        JpegEncoder(quality=80).encode(np.zeros((1, 70000, 3), np.uint8), key=False)


def test_a_jpeg_with_too_many_scans_is_refused_undecoded() -> None:
    body = encode(Codec.JPEG, gradient(64, 48)).body
    with pytest.raises(DecodeError, match="scans: allowed is up to 64"):
        decoder(Codec.JPEG).decode(framed(Codec.JPEG, body[:-2] + b"\xff\xda" * 64 + body[-2:], (64, 48)))


def test_a_trailer_is_cut_off_but_not_at_the_end_of_a_thumbnail() -> None:
    body = encode(Codec.JPEG, gradient(64, 48)).body
    thumbnail = encode(Codec.JPEG, gradient(16, 16)).body
    with_thumbnail = body[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + body[2:]
    for whole in (body, with_thumbnail):
        assert without_trailer(whole + b"\xff\xff\xd8" + thumbnail + b"x" * 99) == whole
        assert without_trailer(whole[:-2]) == whole[:-2]
