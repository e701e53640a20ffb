"""Raw BGR: the pixels themselves, row by row, without padding."""

from __future__ import annotations

import numpy as np

from fanlight.common.codec.base import Encoded, StillDecoder
from fanlight.common.codec.picture import BGR, Converter, Picture, size_of
from fanlight.common.model.errors import EncodeError
from fanlight.common.model.frame import MAX_BODY_BYTES, EncodedFrame


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


class RawDecoder(StillDecoder):
    """See `common.codec.base.Decoder`."""

    def check(self, frame: EncodedFrame) -> None:
        """Does nothing: `FrameHeader.check_sizes` has compared the sizes."""

    def image(self, frame: EncodedFrame) -> BGR:
        # No copy: pictures are read-only, and the array references the body.
        return np.frombuffer(frame.body, np.uint8).reshape(frame.header.height, frame.header.width, 3)
