"""Small pictures for the fuzzer to begin with."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from fanlight.common.codec.picture import BGR

_FORMATS = {
    "png": "rgb24",
    "mjpeg": "yuvj420p",
    "bmp": "bgr24",
    "libwebp": "bgra",
    "tiff": "rgb24",
    "pgm": "gray",
    "ppm": "rgb24",
    "pbm": "monow",
}


def gradient(width: int, height: int, shift: int = 0) -> BGR:
    """A smooth picture, a little different for each `shift`."""
    x = np.linspace(0, 255, width)[np.newaxis, :].repeat(height, 0)
    y = np.linspace(0, 255, height)[:, np.newaxis].repeat(width, 1)
    return np.stack([x, np.roll(y, shift, 0), 255 - (x + y) / 2], axis=2).astype(np.uint8)


def images() -> list[bytes]:
    """The same picture as a file of each kind that this build of libavcodec writes."""
    found = []
    for codec, pixel_format in _FORMATS.items():
        context = cast("VideoCodecContext", CodecContext.create(codec, "w"))
        context.width, context.height, context.pix_fmt = 16, 12, pixel_format
        context.time_base = Fraction(1, 30)
        frame = av.VideoFrame.from_ndarray(gradient(16, 12), format="bgr24").reformat(format=pixel_format)
        found.append(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
    return found
