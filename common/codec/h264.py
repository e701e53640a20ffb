"""H.264 by libx264 and libavcodec: Annex B access units, SPS and PPS in band before every IDR."""

from __future__ import annotations

import os
from functools import partial
from typing import Final

import av
import numpy as np
from av.codec.context import CodecContext, Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from fanlight.common.codec.base import MARGIN_PIXELS, DeferredPixels, Encoded, check_size
from fanlight.common.codec.picture import Converter, Picture, PixelConverter, plane_view, size_of
from fanlight.common.model.errors import DecodeError, EncodeError
from fanlight.common.model.frame import EncodedFrame, rate_fraction
from fanlight.common.model.pixels import PictureFormat, Pixels
from fanlight.common.model.reasons import reason

# Half the size of `ultrafast` at higher PSNR. CAVLC and no deblocking make decoding cheaper
# (docs/decisions.md). No keyframes at scene cuts, so that their interval is constant. Keyframes have the
# quality of other frames, which keeps them small: all receivers decode a keyframe at the same time.
X264_OPTIONS: Final = {
    "preset": "superfast",
    "tune": "zerolatency",
    "forced-idr": "1",
    "x264-params": "cabac=0:no-deblock=1:weightp=0:scenecut=0:aq-mode=0:ipratio=1",
}
_BT601: Final = (Colorspace.ITU601, Colorspace.SMPTE170M)
_UNSPECIFIED: Final = 2
_PIXELS_PER_THREAD: Final = 1920 * 1088


class H264Encoder:
    """See `common.codec.base.Encoder`.

    Odd sizes are coded one pixel larger, since 4:2:0 needs even ones; the header has the size to crop to.
    """

    def __init__(self, *, fps: float, gop_s: float, crf: int) -> None:
        self._fps = fps
        self._gop_s = gop_s
        self._crf = crf
        self._converter = Converter()
        self._context: VideoCodecContext | None = None
        self._size = (0, 0)
        self._count = 0

    def encode(self, picture: Picture, *, key: bool) -> Encoded:
        context = self._context
        if context is None or size_of(picture) != self._size:
            self._size = size_of(picture)
            context = self._context = self._open(*_even(*self._size))
            key = True
        try:
            frame = self._limited_bt601(_padded(picture))
            frame.pts = self._count
            frame.time_base = context.time_base
            # Frames of a decoded file have the picture types of that file, which x264 would apply.
            frame.pict_type = PictureType.I if key else PictureType.NONE
            self._count += 1
            packets = context.encode(frame)
        except av.error.FFmpegError as error:
            raise EncodeError(f"libx264 cannot encode {self._size}: {reason(error)}") from error
        if not packets:
            raise EncodeError("libx264 delayed a frame: it must run without delay")
        return Encoded(b"".join(bytes(p) for p in packets), any(p.is_keyframe for p in packets))

    def _open(self, width: int, height: int) -> VideoCodecContext:
        context = CodecContext.create("libx264", "w")
        rate = rate_fraction(self._fps)
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.framerate, context.time_base = rate, 1 / rate
        context.gop_size = max(1, round(self._fps * self._gop_s))
        # More threads make more slices, which cost bits and decoding time.
        threads = -(-width * height // _PIXELS_PER_THREAD)
        context.thread_count = max(1, min(threads, os.cpu_count() or 1))
        context.colorspace, context.color_range = Colorspace.ITU601, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        context.options = {**X264_OPTIONS, "crf": str(self._crf)}
        try:
            context.open()
        except av.error.FFmpegError as error:
            raise EncodeError(f"libx264 cannot encode {width}x{height}: {reason(error)}") from error
        return context

    def _limited_bt601(self, picture: Picture) -> av.VideoFrame:
        if isinstance(picture, av.VideoFrame):
            limited = picture.color_range != ColorRange.JPEG and not picture.format.name.startswith("yuvj")
            if not limited or picture.colorspace not in (*_BT601, _UNSPECIFIED):
                # libswscale converts between matrices and ranges reliably only through RGB.
                picture = self._converter.to_frame(picture, "bgr24")
                picture = plane_view(picture, picture.width, picture.height)
        return self._converter.to_frame(picture, "yuv420p")


class H264Decoder:
    """See `common.codec.base.Decoder`."""

    def __init__(self) -> None:
        self._converter = PixelConverter()
        self._context: VideoCodecContext | None = None
        self._size = (0, 0)

    def decode(self, frame: EncodedFrame) -> DeferredPixels:
        header = frame.header
        context = self._context
        if context is None or (header.width, header.height) != self._size:
            self._size = (header.width, header.height)
            context = self._context = _open_decoder(*_even(*self._size))
        packet = av.Packet(frame.body)
        try:
            pictures = context.decode(packet)
        except (av.error.FFmpegError, MemoryError) as error:
            raise DecodeError(f"h264 body cannot be decoded: {reason(error)}") from error
        if len(pictures) != 1:
            raise DecodeError(f"h264 body holds {len(pictures)} pictures: allowed is 1")
        picture = pictures[0]
        if picture.is_corrupt:
            raise DecodeError("h264 body is damaged")
        check_size(frame, size_of(picture), _even(*self._size))
        # Still in YUV: only frames that are presented are converted.
        return DeferredPixels(partial(_convert, self._converter, picture, (header.width, header.height)))

    def reset(self) -> None:
        # Replaced instead of flushed: the colour space of damaged parameter sets would remain in both.
        self._context = None
        self._converter = PixelConverter()


def _convert(
    converter: PixelConverter, picture: av.VideoFrame, size: tuple[int, int], picture_format: PictureFormat
) -> Pixels:
    try:
        return converter.convert(picture, picture_format, size)
    except (av.error.FFmpegError, MemoryError) as error:
        # Untrusted parameter sets may name colour spaces that libav cannot convert.
        raise DecodeError(f"h264 picture cannot be converted: {reason(error)}") from error


def _open_decoder(width: int, height: int) -> VideoCodecContext:
    context = CodecContext.create("h264", "r")
    # One access unit in, one picture out: frame threading would delay pictures.
    context.thread_count = 1
    context.flags |= Flags.low_delay
    # Report damage instead of concealing it; and do not let an untrusted SPS allocate more memory than the
    # header announced.
    context.options = {"err_detect": "explode", "max_pixels": str(width * height + MARGIN_PIXELS)}
    return context


def _even(width: int, height: int) -> tuple[int, int]:
    return width + width % 2, height + height % 2


def _padded(picture: Picture) -> Picture:
    """Repeat the last column and row where the size is odd."""
    width, height = size_of(picture)
    if width % 2 == 0 and height % 2 == 0:
        return picture
    if isinstance(picture, av.VideoFrame):
        picture = Converter().to_bgr(picture)
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
