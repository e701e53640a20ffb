from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from fanlight.common.codec import check_quality, decoder, encoder
from fanlight.common.codec.picture import BGR
from fanlight.common.model.errors import ConfigError, DecodeError
from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import PictureFormat, PixelFormat, Pixels, shape
from tests.unit.common.codec.build import encode, film, framed, gradient, psnr

STILLS = (Codec.JPEG, Codec.PNG)


@pytest.mark.parametrize("codec", STILLS)
def test_every_frame_of_a_still_codec_is_a_keyframe(codec: Codec) -> None:
    coder = encoder(codec, fps=30, gop_s=1)
    assert all(coder.encode(gradient(64, 48), key=key).key for key in (True, False))


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("codec", STILLS)
def test_a_truncated_still_is_an_error(codec: Codec, part: float) -> None:
    body = encode(codec, film()[0]).body
    with pytest.raises(DecodeError):
        decoder(codec).decode(framed(codec, body[: int(len(body) * part)], (1280, 720))).pixels()


@pytest.mark.parametrize("start_bytes", [0, 4, 33, 200])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("codec", STILLS)
def test_random_bytes_are_an_error(codec: Codec, seed: int, start_bytes: int) -> None:
    start = encode(codec, gradient(64, 48)).body[:start_bytes]
    body = start + np.random.default_rng(seed).bytes(3000)
    with pytest.raises(DecodeError):
        decoder(codec).decode(framed(codec, body, (64, 48))).pixels()


@pytest.mark.parametrize("claimed", [(48, 64), (64, 47), (65, 48), (1280, 720)])
@pytest.mark.parametrize("codec", STILLS)
def test_a_still_of_another_size_than_its_header_is_refused_undecoded(
    codec: Codec, claimed: tuple[int, int]
) -> None:
    body = encode(codec, gradient(64, 48)).body
    with pytest.raises(DecodeError, match=f"64x48: its header says {claimed[0]}x{claimed[1]}"):
        decoder(codec).decode(framed(codec, body, claimed))


def shown(image: Pixels, picture_format: PictureFormat) -> BGR:
    """The picture as a screen shows it."""
    if picture_format.pixel_format is PixelFormat.I420:
        return cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420).astype(np.uint8)
    return (
        image
        if picture_format.pixel_format is PixelFormat.BGR
        else np.repeat(image[:, :, np.newaxis], 3, axis=2)
    )


def expected(width: int, height: int, picture_format: PictureFormat) -> BGR:
    image = gradient(width, height)
    if picture_format.pixel_format is not PixelFormat.GREY:
        return image
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)


def decoded(codec: Codec, picture: BGR, picture_format: PictureFormat) -> Pixels:
    height, width = picture.shape[:2]
    encoded = encoder(codec, fps=30, gop_s=1).encode(picture, key=True)
    return decoder(codec).decode(framed(codec, encoded.body, (width, height))).pixels(picture_format)


@pytest.mark.parametrize("wanted", [None, (320, 240), (640, 500), (321, 241)])
@pytest.mark.parametrize("size", [(640, 480), (641, 481)])
@pytest.mark.parametrize("pixel_format", PixelFormat)
@pytest.mark.parametrize("codec", Codec)
def test_every_codec_gives_every_form(
    codec: Codec, pixel_format: PixelFormat, size: tuple[int, int], wanted: tuple[int, int] | None
) -> None:
    picture_format = PictureFormat(pixel_format, wanted)
    image = decoded(codec, gradient(*size), picture_format)
    width, height = picture_format.sized(*size)
    assert image.dtype == np.uint8
    assert image.shape == shape(pixel_format, width, height)
    assert psnr(shown(image, picture_format), expected(width, height, picture_format)) > 35


@pytest.mark.parametrize("pixel_format", PixelFormat)
@pytest.mark.parametrize("codec", Codec)
def test_the_smallest_picture_comes_in_every_form(codec: Codec, pixel_format: PixelFormat) -> None:
    picture_format = PictureFormat(pixel_format)
    image = decoded(codec, np.full((1, 1, 3), 180, np.uint8), picture_format)
    assert image.shape == shape(pixel_format, *picture_format.sized(1, 1))
    assert np.abs(shown(image, picture_format).astype(int) - 180).max() <= 4


@pytest.mark.parametrize(
    ("codec", "low", "high", "default"),
    [(Codec.H264, 0, 51, 23), (Codec.JPEG, 1, 100, 80), (Codec.PNG, 0, 9, 1)],
)
def test_quality_has_a_range_and_a_default(codec: Codec, low: int, high: int, default: int) -> None:
    assert check_quality(codec, None) == default
    assert (check_quality(codec, low), check_quality(codec, high)) == (low, high)
    for wrong in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"--quality {wrong} cannot be used: allowed for {codec} is"):
            encoder(codec, fps=30, gop_s=1, quality=wrong)
    assert check_quality(Codec.RAW, None) == 0
    with pytest.raises(ConfigError, match="raw has no quality, leave it out"):
        check_quality(Codec.RAW, 1)


def test_a_codec_is_loaded_only_when_it_is_used() -> None:
    code = (
        "import sys; import fanlight.common.codec; "
        "sys.exit(any(n.startswith('fanlight.common.codec.') and n[22:] not in ('base', 'picture') "
        "for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
