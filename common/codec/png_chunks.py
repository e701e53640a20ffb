"""Removes the chunks of a PNG file that a decoder would decompress without bound. Pure.

A compressed text or colour profile of 300 kB expands to 300 MB and more in libavcodec, whatever size the
picture has; none of these chunks changes a pixel here.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from fanlight.common.model.errors import DecodeError

_SIGNATURE_BYTES: Final = 8
_CHUNK: Final = Struct(">I4s")  # length, name; the data is followed by a checksum of four bytes
_OVERHEAD: Final = _CHUNK.size + 4
# Chunks that determine the pixels, and small ones that encoders add, including libavcodec's.
_KEPT: Final = frozenset(b"IHDR PLTE tRNS IDAT IEND pHYs gAMA cHRM sRGB sBIT bKGD tIME cICP".split())
# Ten times as many as an encoder with small chunks (8 KiB) writes for the largest body.
MAX_CHUNKS: Final = 20_000


def without_metadata(body: bytes) -> bytes:
    """The PNG file without texts, profiles and other chunks that are not needed for decoding.

    A truncated file is returned as it is: the decoder reports it.

    Raises:
        DecodeError: it has too many chunks.
    """
    parts: list[bytes] = []
    copied_to, at, count = 0, _SIGNATURE_BYTES, 0
    while at + _CHUNK.size <= len(body):
        length, name = _CHUNK.unpack_from(body, at)
        end = min(at + length + _OVERHEAD, len(body))
        count += 1
        if count > MAX_CHUNKS:
            raise DecodeError(f"png body has more than {MAX_CHUNKS} chunks")
        if name not in _KEPT:
            parts.append(body[copied_to:at])
            copied_to = end
        if name == b"IEND":
            break
        at = end
    return b"".join([*parts, body[copied_to:]]) if parts else body
