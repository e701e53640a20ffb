"""PNG by libavcodec: bit-exact, one PNG file a frame."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from fanlight.common.codec.base import MARGIN_PIXELS, Encoded, check_announced
from fanlight.common.codec.chunks import plain
from fanlight.common.codec.picture import Converter, Picture, in_form, size_of
from fanlight.common.model.errors import DecodeError, EncodeError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.pixels import FULL_BGR, Form, Pixels

# Signature, then the IHDR chunk: its length, its name, width, height.
_START: Final = struct.Struct(">8sI4sII")
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


class PngEncoder:
    """See `common.codec.base.Encoder`."""

    def __init__(self, *, compression_level: int) -> None:
        self._level = compression_level
        self._converter = Converter()
        self._context: VideoCodecContext | None = None
        self._size = (0, 0)

    def encode(self, picture: Picture, *, key: bool) -> Encoded:
        if self._context is None or size_of(picture) != self._size:
            self._size = size_of(picture)
            self._context = self._open(*self._size)
        try:
            packets = self._context.encode(self._converter.to_frame(picture, "rgb24"))
        except av.error.FFmpegError as error:
            raise EncodeError(f"PNG cannot hold {self._size}: {error}") from error
        if len(packets) != 1:
            raise EncodeError(f"the PNG encoder gave {len(packets)} packets: expected is 1")
        return Encoded(bytes(packets[0]), key=True)

    def _open(self, width: int, height: int) -> VideoCodecContext:
        context = CodecContext.create("png", "w")
        context.width, context.height, context.pix_fmt = width, height, "rgb24"
        context.time_base = Fraction(1, 30)
        # Threads by frame would hold pictures back.
        context.thread_count = 1
        context.options = {"compression_level": str(self._level), "pred": "up"}
        return context


class PngDecoder:
    """See `common.codec.base.Decoder`."""

    def __init__(self) -> None:
        self._converter = Converter()

    def decode(self, frame: EncodedFrame) -> DecodedPng:
        if len(frame.body) < _START.size:
            raise DecodeError(f"png body is cut off after {len(frame.body)} bytes")
        signature, _, chunk, width, height = _START.unpack_from(frame.body)
        if signature != _SIGNATURE or chunk != b"IHDR":
            raise DecodeError("png body does not start like a PNG file")
        check_announced(frame, width, height)
        return DecodedPng(plain(frame.body), width * height, self._converter)

    def reset(self) -> None:
        """Nothing to forget."""


class DecodedPng:
    """A PNG whose size is checked; decoded when asked for."""

    __slots__ = ("_body", "_converter", "_pixels")

    def __init__(self, body: bytes, pixels: int, converter: Converter) -> None:
        self._body = body
        self._pixels = pixels
        self._converter = converter

    def pixels(self, form: Form = FULL_BGR) -> Pixels:
        # A new context for each: FFmpeg 8's PNG decoder gives wrong pixels from its second file on.
        context = CodecContext.create("png", "r")
        context.thread_count = 1
        # A second header in the file may not claim more than the first one. (libavcodec counts a margin.)
        context.options = {"max_pixels": str(self._pixels + MARGIN_PIXELS)}
        try:
            pictures = context.decode(av.Packet(self._body))
        except (av.error.FFmpegError, MemoryError) as error:
            raise DecodeError(f"png body cannot be decoded: {error}") from error
        if len(pictures) != 1:
            raise DecodeError(f"png body holds {len(pictures)} pictures: allowed is 1")
        try:
            image = np.ascontiguousarray(self._converter.to_bgr(pictures[0]))
        except (av.error.FFmpegError, MemoryError) as error:
            raise DecodeError(f"png picture cannot be converted: {error}") from error
        return in_form(image, form, self._converter)
