"""JPEG by libjpeg-turbo (simplejpeg): one JPEG file per frame, 4:2:0."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import simplejpeg

from fanlight.common.codec.base import Encoded, StillDecoder, check_size
from fanlight.common.codec.picture import BGR, Converter, Picture
from fanlight.common.model.errors import DecodeError, EncodeError
from fanlight.common.model.frame import EncodedFrame

# The whole picture is decoded again for each scan of a progressive JPEG. A scan can have ten bytes, so
# that a file of 16 MiB could take hours. Encoders write about ten scans. The marker does not occur in data.
_START_OF_SCAN: Final = b"\xff\xda"
_MAX_SCANS: Final = 64
_END: Final = 0xD9
# In the data of a scan, 00 and restart markers do not end it.
_MARKER: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_MAX_SEGMENTS: Final = 10_000


def without_trailer(data: bytes) -> bytes:
    """A JPEG file up to its end marker: phones append videos, cameras a second picture.

    The end marker of a thumbnail in the metadata is not the file's.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(data, at)
        if marker is None:
            break
        if marker[1][0] == _END:
            return data[: marker.end()]
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return data


def check_scans(body: bytes) -> None:
    """Raises DecodeError if a JPEG has more scans than any encoder writes."""
    scans = body.count(_START_OF_SCAN)
    if scans > _MAX_SCANS:
        raise DecodeError(f"jpeg has {scans} scans: allowed is up to {_MAX_SCANS}")


class JpegEncoder:
    """See `common.codec.base.Encoder`."""

    def __init__(self, *, quality: int) -> None:
        self._quality = quality
        self._converter = Converter()

    def encode(self, picture: Picture, *, key: bool) -> Encoded:
        image = np.ascontiguousarray(self._converter.to_bgr(picture))
        try:
            body = simplejpeg.encode_jpeg(image, self._quality, "BGR", "420", fastdct=True)
        except ValueError as error:
            raise EncodeError(f"JPEG cannot hold {image.shape[1]}x{image.shape[0]}: {error}") from error
        return Encoded(body, key=True)


class JpegDecoder(StillDecoder):
    """See `common.codec.base.Decoder`."""

    def check(self, frame: EncodedFrame) -> None:
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(frame.body)
        except ValueError as error:
            raise DecodeError(f"jpeg body cannot be decoded: {error}") from error
        check_size(frame, (int(width), int(height)))
        check_scans(frame.body)

    def image(self, frame: EncodedFrame) -> BGR:
        try:
            image: BGR = simplejpeg.decode_jpeg(frame.body, "BGR", fastdct=True, fastupsample=True)
        except ValueError as error:
            raise DecodeError(f"jpeg body cannot be decoded: {error}") from error
        return image
