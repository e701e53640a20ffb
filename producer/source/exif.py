"""What an image file says about itself in EXIF or TIFF tags. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

# EXIF data are a TIFF file: within a JPEG, PNG or WebP file after one of these names.
_START: Final = re.compile(rb"(?:Exif\0\0|eXIf|EXIF.{4})(?=II\*\0|MM\0\*)", re.DOTALL)
_ORIENTATION: Final = 0x112
_COMPRESSION: Final = 0x103
_JPEG: Final = (6, 7)
_TILE_WIDTH: Final = 0x142
_ENTRY_BYTES: Final = 12


def orientation(data: bytes) -> int:
    """1 (upright) to 8, as EXIF numbers them; 1 if the file does not say."""
    return next((value for tag, value in _tags(data) if tag == _ORIENTATION and 1 <= value <= 8), 1)


def is_tiled_or_jpeg(tiff: bytes) -> bool:
    """Whether a TIFF file is of a kind that FFmpeg shows as black, without an error."""
    return any(tag == _TILE_WIDTH or (tag == _COMPRESSION and value in _JPEG) for tag, value in _tags(tiff))


def _tags(data: bytes) -> Iterator[tuple[int, int]]:
    """The tags and values of the first picture; the values of 16-bit tags only are right."""
    tiff = 0
    if not data.startswith((b"II*\0", b"MM\0*")):
        found = _START.search(data)
        if found is None:
            return
        tiff = found.end()
    order = "<" if data[tiff] == ord("I") else ">"
    try:
        entries = tiff + struct.unpack_from(f"{order}I", data, tiff + 4)[0]
        for number in range(struct.unpack_from(f"{order}H", data, entries)[0]):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", data, entries + 2 + number * _ENTRY_BYTES)
            yield tag, value
    except struct.error:  # cut off
        pass
