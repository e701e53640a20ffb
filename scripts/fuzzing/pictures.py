"""The decoders, each with the header that lets a malicious body get furthest."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import av

from fanlight.common.codec import decoder
from fanlight.common.codec.picture import Converter
from fanlight.common.model.errors import DecodeError, WireFormatError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.pixels import PictureFormat, PixelFormat, shape
from fanlight.common.transport.tcp.wire import MessageReader
from fanlight.producer.source.display import DisplayFilter
from fanlight.producer.source.exif import orientation
from fanlight.producer.source.images import UPRIGHT, decode_image, to_picture
from scripts.fuzzing.target import Broken, Target, golden
from scripts.lib.headers import header

_PICTURE_FORMATS: Final = tuple(PictureFormat(pixel_format) for pixel_format in PixelFormat)
_SIZE: Final = (32, 24)
# Larger pictures take longer and show no more.
_MOST_PIXELS: Final = 64 * 64
_NEXT: Final = b"\xff\x00NEXT"


def _stills(
    codec: Codec, size_in: Callable[[bytes], tuple[int, int]]
) -> Callable[[], Callable[[bytes], None]]:
    def make() -> Callable[[bytes], None]:
        decoding = decoder(codec)

        def run(data: bytes) -> None:
            picture_format, body = _PICTURE_FORMATS[data[0] % 3] if data else _PICTURE_FORMATS[0], data[1:]
            width, height = size_in(body)
            if not 0 < width * height <= _MOST_PIXELS:
                width, height = _SIZE
            try:
                frame = _frame(codec, body, (width, height), key=True)
                _check(decoding.decode(frame).pixels(picture_format), picture_format, (width, height))
            except (DecodeError, WireFormatError) as error:
                if "\n" in str(error):
                    raise Broken(str(error)) from error

        return run

    return make


def _h264() -> Callable[[bytes], None]:
    decoding = decoder(Codec.H264)

    def run(data: bytes) -> None:
        chosen = data[0] if data else 0
        picture_format = _PICTURE_FORMATS[chosen % 3]
        size = (_SIZE[0] - (chosen >> 6 & 1), _SIZE[1] - (chosen >> 7))
        decoding.reset()
        for number, body in enumerate(data[1:].split(_NEXT)[:4]):
            try:
                frame = _frame(Codec.H264, body, size, key=number == 0)
                _check(decoding.decode(frame).pixels(picture_format), picture_format, size)
            except (DecodeError, WireFormatError) as error:
                if "\n" in str(error):
                    raise Broken(str(error)) from error

    return run


def _images() -> Callable[[bytes], None]:
    """What the producer reads from a folder of images, which others may have put there."""
    converter = Converter()
    display = DisplayFilter("fuzzing", max_pixels=_MOST_PIXELS)

    def run(data: bytes) -> None:
        upright = UPRIGHT[orientation(data)]
        try:
            (shown,) = display.show(decode_image(data, _MOST_PIXELS), upright)
            picture = to_picture(shown, converter)
        except (ValueError, DecodeError, av.FFmpegError):
            return
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise Broken(picture.shape)

    return run


def _check(image: object, picture_format: PictureFormat, size: tuple[int, int]) -> None:
    expected = shape(picture_format.pixel_format, *picture_format.sized(*size))
    if getattr(image, "shape", None) != expected:
        raise Broken((getattr(image, "shape", None), expected))


def _frame(codec: Codec, body: bytes, size: tuple[int, int], *, key: bool) -> EncodedFrame:
    about = header(0, codec, size, key=key)
    about.check_sizes(len(body))
    return EncodedFrame(about, body)


def _png_size(body: bytes) -> tuple[int, int]:
    return struct.unpack_from(">II", body, 16) if len(body) >= 24 else _SIZE


def _jpeg_size(body: bytes) -> tuple[int, int]:
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        at = body.find(marker)
        if 0 <= at <= len(body) - 9:
            height, width = struct.unpack_from(">HH", body, at + 5)
            return width, height
    return _SIZE


def _raw_size(body: bytes) -> tuple[int, int]:
    return max(1, len(body) // 3), 1


def _bodies(codec: Codec) -> list[bytes]:
    return [MessageReader().feed(memoryview(data))[0].body for data in golden(f"frame-{codec}.tcp")]


def _h264_seeds() -> list[bytes]:
    from fanlight.common.codec import encoder
    from scripts.fuzzing.samples import gradient

    encoding = encoder(Codec.H264, fps=30, gop_s=1)
    pictures = [encoding.encode(gradient(*_SIZE, shift), key=False).body for shift in range(3)]
    return [
        b"\0" + _NEXT.join(pictures),
        *(bytes((at,)) + body for at, body in enumerate(_bodies(Codec.H264))),
    ]


def _image_seeds() -> list[bytes]:
    from scripts.fuzzing.samples import images

    return images()


DECODERS: Final = (
    Target(
        "jpeg",
        _stills(Codec.JPEG, _jpeg_size),
        lambda: [b"\0" + b for b in _bodies(Codec.JPEG)],
        (b"\xff\xd8", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb", b"\xff\xdd"),
        2048,
        True,
    ),
    Target(
        "png",
        _stills(Codec.PNG, _png_size),
        lambda: [b"\0" + b for b in _bodies(Codec.PNG)],
        (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL"),
        4096,
        True,
    ),
    Target(
        "h264",
        _h264,
        _h264_seeds,
        (b"\0\0\1\x67", b"\0\0\1\x68", b"\0\0\1\x65", b"\0\0\1\x41", _NEXT),
        2048,
        True,
    ),
    Target("raw", _stills(Codec.RAW, _raw_size), lambda: [b"\0" + b"abc" * 64], (), 1024, True),
    Target(
        "images",
        _images,
        _image_seeds,
        (b"BM", b"RIFF", b"WEBP", b"II*\0", b"P6", b"\x89PNG\r\n\x1a\n"),
        2048,
        True,
    ),
)
