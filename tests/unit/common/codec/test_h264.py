from __future__ import annotations

import contextlib
import re

import av
import numpy as np
import pytest

from fanlight.common.codec.base import Encoded
from fanlight.common.codec.h264 import H264Decoder, H264Encoder
from fanlight.common.codec.picture import BGR, Picture
from fanlight.common.model.errors import DecodeError, EncodeError
from fanlight.common.model.frame import Codec, EncodedFrame
from tests.unit.common.codec.build import film, framed, gradient, noise, psnr, yuv_frame

SPS, PPS, IDR, P_SLICE = 7, 8, 5, 1


def new(fps: float = 30, gop_s: float = 1) -> H264Encoder:
    return H264Encoder(fps=fps, gop_s=gop_s, crf=23)


def units(body: bytes) -> list[int]:
    """Types of the NAL units, in order."""
    return [match.group(1)[0] & 31 for match in re.finditer(rb"\x00\x00\x01(.)", body, re.DOTALL)]


def wire(encoded: Encoded, size: tuple[int, int]) -> EncodedFrame:
    return framed(Codec.H264, encoded.body, size, key=encoded.key)


def there_and_back(*pictures: Picture, size: tuple[int, int]) -> list[BGR]:
    encoder, decoder = new(), H264Decoder()
    return [decoder.decode(wire(encoder.encode(p, key=False), size)).pixels() for p in pictures]


@pytest.mark.parametrize("as_frame", [False, True])
def test_an_odd_size_is_cropped(as_frame: bool) -> None:
    picture = gradient(641, 481)
    given = av.VideoFrame.from_ndarray(picture, format="bgr24") if as_frame else picture
    (image,) = there_and_back(given, size=(641, 481))
    assert psnr(picture, image) >= 35
    for edge in (np.s_[-1], np.s_[:, -1]):
        assert np.abs(picture[edge].astype(int) - image[edge]).max() < 30


@pytest.mark.parametrize(
    ("fps", "gop_s", "interval"),
    [(10, 1, 10), (30, 1, 30), (10, 0.5, 5), (5, 0.01, 1), (1e-6, 1, 1), (1 / 86400, 1, 1)],
)
def test_keyframes_keep_their_cadence(fps: float, gop_s: float, interval: int) -> None:
    encoder = new(fps, gop_s)
    count = 2 * interval + 2
    # Every picture is another scene: no reason to leave the cadence.
    keys = [encoder.encode(noise(64, 48, n), key=False).key for n in range(count)]
    assert [n for n, key in enumerate(keys) if key] == list(range(0, count, interval))


def test_a_stream_can_be_joined_at_every_keyframe_one_forced_at_once() -> None:
    encoder = new(fps=5)
    bodies = [encoder.encode(gradient(64, 48), key=n == 3) for n in range(12)]
    assert [n for n, encoded in enumerate(bodies) if encoded.key] == [0, 3, 8]
    for encoded in bodies:
        kinds = units(encoded.body)
        if encoded.key:
            assert kinds.index(SPS) < kinds.index(PPS) < kinds.index(IDR)
            assert P_SLICE not in kinds
            H264Decoder().decode(wire(encoded, (64, 48))).pixels()
        else:
            assert not {SPS, PPS, IDR} & set(kinds)


def test_picture_types_of_a_decoded_file_are_ignored() -> None:
    """The frames of a file keep the type that they were coded as; x264 would make keyframes of them."""
    encoder = new()
    keys = []
    for _ in range(3):
        frame = av.VideoFrame.from_ndarray(gradient(64, 48), format="bgr24").reformat(format="yuv420p")
        frame.pict_type = av.video.frame.PictureType.I
        keys.append(encoder.encode(frame, key=False).key)
    assert keys == [True, False, False]


def test_a_change_of_size_is_a_keyframe_that_the_decoder_follows() -> None:
    encoder, decoder = new(), H264Decoder()
    for width, height, key in ((64, 48, True), (64, 48, False), (80, 40, True), (64, 48, True)):
        encoded = encoder.encode(gradient(width, height), key=False)
        assert encoded.key is key
        image = decoder.decode(wire(encoded, (width, height))).pixels()
        assert psnr(gradient(width, height), image) >= 30


@pytest.mark.parametrize("part", [0.0, 0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_body_is_an_error(part: float) -> None:
    body = new().encode(film()[0], key=True).body
    with pytest.raises(DecodeError):
        H264Decoder().decode(framed(Codec.H264, body[: int(len(body) * part)] or b"\0", (1280, 720)))


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_an_error(seed: int) -> None:
    body = np.random.default_rng(seed).bytes(3000)
    for start in (b"", b"\0\0\0\1\x67", b"\0\0\0\1\x65", b"\0\0\0\1\x41"):
        with pytest.raises(DecodeError):
            H264Decoder().decode(framed(Codec.H264, start + body, (64, 48)))


@pytest.mark.parametrize("seed", range(40))
def test_after_damage_the_next_keyframe_is_decoded(seed: int) -> None:
    random = np.random.default_rng(seed)
    encoder, decoder = new(), H264Decoder()
    body = bytearray(encoder.encode(gradient(64, 48), key=True).body)
    for at in random.integers(0, len(body), 3):
        body[at] ^= int(random.integers(1, 256))
    with contextlib.suppress(DecodeError):
        assert decoder.decode(framed(Codec.H264, bytes(body), (64, 48))).pixels().shape == (48, 64, 3)
    decoder.reset()
    again = decoder.decode(wire(encoder.encode(gradient(64, 48), key=True), (64, 48)))
    assert psnr(gradient(64, 48), again.pixels()) >= 30


@pytest.mark.parametrize("claimed", [(32, 32), (66, 48), (64, 50), (1280, 720)])
def test_a_body_of_another_size_than_its_header_is_an_error(claimed: tuple[int, int]) -> None:
    with pytest.raises(DecodeError):
        H264Decoder().decode(wire(new().encode(gradient(64, 48), key=True), claimed))
    with pytest.raises(DecodeError, match="cannot be decoded"):  # much larger: refused undecoded
        H264Decoder().decode(wire(new().encode(gradient(1280, 720), key=True), (64, 48)))


def test_a_body_is_one_picture_that_has_its_references() -> None:
    encoder = new()
    key, delta = (wire(encoder.encode(noise(64, 48), key=False), (64, 48)) for _ in range(2))
    for body in (delta.body, key.body + key.body):
        with pytest.raises(DecodeError):
            H264Decoder().decode(framed(Codec.H264, body, (64, 48)))


@pytest.mark.parametrize(
    "colour", [(40, 60, 200), (200, 60, 40), (60, 200, 40), (250, 250, 250), (5, 5, 5)]
)
@pytest.mark.parametrize("bt709", [False, True])
@pytest.mark.parametrize(("full", "named"), [(False, "yuv420p"), (True, "yuvj420p"), (True, "yuv420p")])
def test_frames_keep_their_colours(
    colour: tuple[int, int, int], bt709: bool, full: bool, named: str
) -> None:
    frame = yuv_frame(colour, full=full, bt709=bt709, named=named)
    (image,) = there_and_back(frame, size=(64, 48))
    assert np.abs(image[24, 32].astype(int) - colour).max() <= 6


def test_a_size_that_the_codec_cannot_encode_is_an_error() -> None:
    with pytest.raises(EncodeError, match="cannot encode"):
        new().encode(np.zeros((2, 40000, 3), np.uint8), key=False)
