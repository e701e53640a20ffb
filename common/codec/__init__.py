"""Encoders and decoders, one module per codec, imported only when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import Codec

if TYPE_CHECKING:
    # Not at run time: this imports numpy and PyAV, which are not needed to report a wrong flag.
    from fanlight.common.codec.base import Decoder, Encoder

__all__ = ["check_quality", "decoder", "encoder"]

# Description of the scale, lowest value, highest value, default.
_QUALITY = {
    Codec.H264: ("a CRF from 0 (lossless) to 51 (worst)", 0, 51, 23),
    Codec.JPEG: ("a JPEG quality from 1 (worst) to 100 (best)", 1, 100, 80),
    Codec.PNG: ("a compression level from 0 (fast) to 9 (small)", 0, 9, 1),
}


def check_quality(codec: Codec, quality: int | None, name: str = "--quality") -> int:
    """Check the quality to encode with, on the codec's own scale, or return its default.

    Raises:
        ConfigError: outside the codec's range, or given for a codec that has none.
    """
    if codec not in _QUALITY:
        if quality is not None:
            raise ConfigError(name, quality, f"{codec} has no quality, leave it out")
        return 0
    scale, low, high, default = _QUALITY[codec]
    if quality is None:
        return default
    if not low <= quality <= high:
        raise ConfigError(name, quality, f"allowed for {codec} is {scale}")
    return quality


def encoder(codec: Codec, *, fps: float, gop_s: float, quality: int | None = None) -> Encoder:
    """Make an encoder, to be used by one thread.

    Args:
        fps: nominal rate, for the keyframe interval and rate control.
        gop_s: seconds between keyframes; ignored by codecs whose every frame can be decoded on its own.
    """
    level = check_quality(codec, quality)
    if codec is Codec.H264:
        from fanlight.common.codec.h264 import H264Encoder

        return H264Encoder(fps=fps, gop_s=gop_s, crf=level)
    if codec is Codec.JPEG:
        from fanlight.common.codec.jpeg import JpegEncoder

        return JpegEncoder(quality=level)
    if codec is Codec.PNG:
        from fanlight.common.codec.png import PngEncoder

        return PngEncoder(compression_level=level)
    from fanlight.common.codec.raw import RawEncoder

    return RawEncoder()


def decoder(codec: Codec) -> Decoder:
    """Make a decoder, to be used by one thread."""
    if codec is Codec.H264:
        from fanlight.common.codec.h264 import H264Decoder

        return H264Decoder()
    if codec is Codec.JPEG:
        from fanlight.common.codec.jpeg import JpegDecoder

        return JpegDecoder()
    if codec is Codec.PNG:
        from fanlight.common.codec.png import PngDecoder

        return PngDecoder()
    from fanlight.common.codec.raw import RawDecoder

    return RawDecoder()
