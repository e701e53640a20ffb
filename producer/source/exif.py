"""The orientation of an image file, from its EXIF data. Pure."""

from __future__ import annotations

import re
import struct
from typing import Final

# EXIF data are a TIFF file: within a JPEG, PNG or WebP file after one of these names.
_START: Final = re.compile(rb"(?:Exif\0\0|eXIf|EXIF.{4})(?=II\*\0|MM\0\*)", re.DOTALL)
_ORIENTATION: Final = 0x112
_ENTRY_BYTES: Final = 12


def orientation(data: bytes) -> int:
    """1 (upright) to 8, as EXIF numbers them; 1 if the file does not say."""
    tiff = 0
    if not data.startswith((b"II*\0", b"MM\0*")):
        found = _START.search(data)
        if found is None:
            return 1
        tiff = found.end()
    order = "<" if data[tiff] == ord("I") else ">"
    try:
        entries = tiff + struct.unpack_from(f"{order}I", data, tiff + 4)[0]
        for number in range(struct.unpack_from(f"{order}H", data, entries)[0]):
            at = entries + 2 + number * _ENTRY_BYTES
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", data, at)
            if tag == _ORIENTATION and 1 <= value <= 8:
                return int(value)
    except struct.error:  # cut off
        pass
    return 1
