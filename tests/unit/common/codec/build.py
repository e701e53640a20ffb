"""Pictures and frames for the codec tests."""

from __future__ import annotations

import functools
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from fanlight.common.codec import encoder
from fanlight.common.codec.base import Encoded
from fanlight.common.codec.picture import BGR, Picture, size_of
from fanlight.common.model.frame import Codec, EncodedFrame
from tests.support.headers import header

CLIP = Path(__file__).parents[3] / "media" / "bigbuckbunny-720p.mp4"


@functools.cache
def film(count: int = 4) -> tuple[BGR, ...]:
    """The first pictures of the test film."""
    pictures: list[BGR] = []
    with av.open(str(CLIP)) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="bgr24").astype(np.uint8)
            image.setflags(write=False)
            pictures.append(image)
            if len(pictures) == count:
                break
    return tuple(pictures)


def noise(width: int, height: int, seed: int = 1) -> BGR:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def gradient(width: int, height: int) -> BGR:
    """A smooth picture whose corners differ, so that a wrong crop or order of channels shows."""
    x = np.linspace(0, 255, width)[np.newaxis, :].repeat(height, 0)
    y = np.linspace(0, 255, height)[:, np.newaxis].repeat(width, 1)
    return np.stack([x, y, 255 - (x + y) / 2], axis=2).astype(np.uint8)


def psnr(one: BGR, other: BGR) -> float:
    assert one.shape == other.shape
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def framed(codec: Codec, body: bytes, size: tuple[int, int], *, key: bool = True) -> EncodedFrame:
    return EncodedFrame(header(codec=codec, size=size, key=key), body)


def encode(codec: Codec, picture: Picture) -> EncodedFrame:
    encoded: Encoded = encoder(codec, fps=30, gop_s=1).encode(picture, key=False)
    return framed(codec, encoded.body, size_of(picture), key=encoded.key)


def yuv_frame(colour: tuple[int, int, int], *, full: bool, bt709: bool, named: str) -> av.VideoFrame:
    """A frame of one BGR colour, its YUV worked out here after BT.601 or BT.709."""
    blue, green, red = (c / 255 for c in colour)
    kr, kb = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = ((blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr)))
    values = [luma * 255 if full else 16 + luma * 219]
    values += [128 + c * (255 if full else 224) for c in chroma]
    frame = av.VideoFrame(64, 48, named)
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(bytes([min(255, max(0, round(value)))]) * plane.buffer_size)
    frame.colorspace = Colorspace.ITU709 if bt709 else Colorspace.ITU601
    frame.color_range = ColorRange.JPEG if full else ColorRange.MPEG
    return frame
