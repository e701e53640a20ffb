"""Decoded pixels: pixel format, size, and the shape of the array that contains them."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fanlight.common.model import units

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""dtype uint8; `shape` gives the shape for a pixel format and size."""


class PixelFormat(StrEnum):
    """Memory layouts of a picture of width x height."""

    BGR = "bgr"
    """(height, width, 3), blue first, as in OpenCV."""
    I420 = "i420"
    """(height * 3 / 2, width): luma, then two chroma planes of a quarter of its size. BT.601, limited."""
    GREY = "grey"
    """(height, width): luminance, 0 to 255."""

    @classmethod
    def _missing_(cls, value: object) -> PixelFormat | None:
        return cls.GREY if value == "gray" else None  # both spellings are accepted


class PictureFormat(NamedTuple):
    """Pixel format and size together: what a consumer requests, and what a ring contains.

    Attributes:
        size: (width, height) in pixels; None for the size of the stream.
    """

    pixel_format: PixelFormat = PixelFormat.BGR
    size: tuple[int, int] | None = None

    def __str__(self) -> str:
        if self.size is None:
            return self.pixel_format
        return f"{self.pixel_format}-{self.size[0]}x{self.size[1]}"

    def sized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the result, for a picture of the stream's size. I420 has even sizes."""
        if self.size is not None:
            width, height = self.size
        if self.pixel_format is PixelFormat.I420:
            return max(2, width - width % 2), max(2, height - height % 2)
        return width, height


FULL_BGR: Final = PictureFormat()

PIXEL_FORMAT: Final = units.one_of(PixelFormat)
"""A pixel format by its name; `gray` is `grey`."""


def shape(pixel_format: PixelFormat, width: int, height: int) -> tuple[int, ...]:
    """The shape of the array for a picture of this size."""
    if pixel_format is PixelFormat.BGR:
        return height, width, 3
    if pixel_format is PixelFormat.GREY:
        return height, width
    return height * 3 // 2, width


def size_bytes(pixel_format: PixelFormat, width: int, height: int) -> int:
    """The size of that array in bytes."""
    return math.prod(shape(pixel_format, width, height))


def three_channels(image: Pixels) -> Pixels:
    """A view of a BGR or grey picture that broadcasts to BGR."""
    return image if image.ndim == 3 else image[:, :, np.newaxis]
