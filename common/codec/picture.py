"""The two forms of a picture: BGR pixels in numpy, and libav's frames; and the ways between them.

Sources hand on whichever they have, so that a decoded file is not turned into BGR only to be turned
back for the encoder.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from common.errors import EncodeError

_TO_YUV: Final = Interpolation.BILINEAR | Interpolation.ACCURATE_RND

BGR: TypeAlias = npt.NDArray[np.uint8]
"""uint8, (height, width, 3), blue first."""

Picture: TypeAlias = BGR | av.VideoFrame


def size_of(picture: Picture) -> tuple[int, int]:
    """(width, height) in pixels."""
    if isinstance(picture, np.ndarray):
        return int(picture.shape[1]), int(picture.shape[0])
    return picture.width, picture.height


def as_bgr(image: npt.NDArray[np.generic]) -> BGR:
    """Accept what programs hand in: BGR, BGRA (alpha is left out) or grey, uint8.

    Raises:
        EncodeError: any other shape or type.
    """
    if image.dtype != np.uint8:
        raise EncodeError(f"image has dtype {image.dtype}: allowed is uint8")
    shape = image.shape
    if 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))):
        raise EncodeError(f"image has shape {shape}: allowed is (height, width[, 1, 3 or 4])")
    if len(shape) == 2:
        image = image[:, :, np.newaxis]
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    elif image.shape[2] == 4:
        image = image[:, :, :3]
    return np.ascontiguousarray(image, dtype=np.uint8)


class Converter:
    """Turns pictures from one form into the other, keeping its scaler from frame to frame.

    `VideoFrame.reformat` would set up a new libswscale context for every frame. Not thread-safe.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def to_bgr(self, picture: Picture, size: tuple[int, int] | None = None) -> BGR:
        """BGR pixels, scaled to `size` if given. Shares memory with the picture where it can."""
        if isinstance(picture, np.ndarray) and size in (None, size_of(picture)):
            return picture
        frame = self.to_frame(picture, "bgr24", size)
        return plane_view(frame, frame.width, frame.height)

    def to_frame(
        self, picture: Picture, pixel_format: str, size: tuple[int, int] | None = None
    ) -> av.VideoFrame:
        """A libav frame of the given pixel format, scaled to `size` if given."""
        width, height = size or size_of(picture)
        if isinstance(picture, np.ndarray):
            # Copied (0.5 ms at 720p): libswscale reads some bytes past the last pixel, which libav's own
            # buffers allow for. Past the end of an array there may be no memory at all.
            picture = av.VideoFrame.from_ndarray(picture, format="bgr24")
        if picture.format.name == pixel_format and (picture.width, picture.height) == (width, height):
            return picture
        # On the way to YUV libswscale otherwise truncates: 2 levels too dark, 4 dB worse. On the way
        # back the accurate routine is five times as slow and gains nothing.
        how = _TO_YUV if pixel_format == "yuv420p" else None
        return self._reformatter.reformat(
            picture, width=width, height=height, format=pixel_format, interpolation=how
        )


def plane_view(frame: av.VideoFrame, width: int, height: int) -> BGR:
    """The pixels of a packed 24-bit frame without a copy, cropped to width x height.

    The array keeps the frame's memory alive. Rows may be padded, so it need not be contiguous.
    """
    plane = frame.planes[0]
    rows: BGR = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[:height, : width * 3].reshape(height, width, 3)
