"""PNG by libavcodec: bit-exact, one PNG file per frame."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from fanlight.common.codec.base import MARGIN_PIXELS, Encoded, StillDecoder, check_size
from fanlight.common.codec.picture import BGR, Converter, Picture, size_of
from fanlight.common.codec.png_chunks import without_metadata
from fanlight.common.model.errors import DecodeError, EncodeError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.reasons import reason

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
            raise EncodeError(f"PNG cannot hold {self._size}: {reason(error)}") from error
        if len(packets) != 1:
            raise EncodeError(f"the PNG encoder gave {len(packets)} packets: expected is 1")
        return Encoded(bytes(packets[0]), key=True)

    def _open(self, width: int, height: int) -> VideoCodecContext:
        context = CodecContext.create("png", "w")
        context.width, context.height, context.pix_fmt = width, height, "rgb24"
        context.time_base = Fraction(1, 30)
        # Frame threading would delay pictures.
        context.thread_count = 1
        context.options = {"compression_level": str(self._level), "pred": "up"}
        return context


class PngDecoder(StillDecoder):
    """See `common.codec.base.Decoder`."""

    def check(self, frame: EncodedFrame) -> None:
        if len(frame.body) < _START.size:
            raise DecodeError(f"png body is cut off after {len(frame.body)} bytes")
        signature, _, chunk, width, height = _START.unpack_from(frame.body)
        if signature != _SIGNATURE or chunk != b"IHDR":
            raise DecodeError("png body does not start like a PNG file")
        check_size(frame, (width, height))

    def image(self, frame: EncodedFrame) -> BGR:
        # A new context for each file: FFmpeg 8's PNG decoder returns wrong pixels from the second one on.
        context = CodecContext.create("png", "r")
        context.thread_count = 1
        # A second header in the file must not announce more pixels than the first one.
        max_pixels = frame.header.width * frame.header.height + MARGIN_PIXELS
        context.options = {"max_pixels": str(max_pixels)}
        try:
            pictures = context.decode(av.Packet(without_metadata(frame.body)))
            if len(pictures) == 1:
                return np.ascontiguousarray(self.converter.to_bgr(pictures[0]))
        except (av.error.FFmpegError, MemoryError) as error:
            raise DecodeError(f"png body cannot be decoded: {reason(error)}") from error
        raise DecodeError(f"png body holds {len(pictures)} pictures: allowed is 1")
