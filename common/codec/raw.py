"""Raw BGR: the pixels themselves, row by row, without padding."""

from __future__ import annotations

import numpy as np

from fanlight.common.codec.base import Encoded
from fanlight.common.codec.picture import Converter, Picture, in_form, size_of
from fanlight.common.model.errors import EncodeError
from fanlight.common.model.frame import MAX_BODY_BYTES, EncodedFrame
from fanlight.common.model.pixels import FULL_BGR, Form, Pixels


class RawEncoder:
    """See `common.codec.base.Encoder`."""

    def __init__(self) -> None:
        self._converter = Converter()

    def encode(self, picture: Picture, *, key: bool) -> Encoded:
        width, height = size_of(picture)
        if width * height * 3 > MAX_BODY_BYTES:
            raise EncodeError(
                f"raw {width}x{height} is {width * height * 3 / 1e6:.1f} MB: allowed is up to "
                f"{MAX_BODY_BYTES / 1e6:.1f} MB a frame, use --codec h264"
            )
        return Encoded(self._converter.to_bgr(picture).tobytes(), key=True)


class RawDecoder:
    """See `common.codec.base.Decoder`. The header's check has compared the sizes."""

    def __init__(self) -> None:
        self._converter = Converter()

    def decode(self, frame: EncodedFrame) -> DecodedRaw:
        return DecodedRaw(frame, self._converter)

    def reset(self) -> None:
        """Nothing to forget."""


class DecodedRaw:
    """Pixels as they came."""

    __slots__ = ("_converter", "_frame")

    def __init__(self, frame: EncodedFrame, converter: Converter) -> None:
        self._frame = frame
        self._converter = converter

    def pixels(self, form: Form = FULL_BGR) -> Pixels:
        header = self._frame.header
        pixels = np.frombuffer(self._frame.body, np.uint8).reshape(header.height, header.width, 3)
        # No copy: pictures are read-only anyway, and the array keeps the body.
        return in_form(pixels, form, self._converter)
