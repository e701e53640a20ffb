"""Takes out of a PNG file what a decoder would unpack without bound. Pure.

A compressed text or colour profile of 300 kB unpacks to 300 MB and more in libavcodec, whatever size the
picture has; nothing in them changes a pixel here.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from fanlight.common.model.errors import DecodeError

_SIGNATURE_BYTES: Final = 8
_CHUNK: Final = Struct(">I4s")  # length, name; behind the data a checksum of four bytes
_EXTRA: Final = _CHUNK.size + 4
# What pixels are made of, and small chunks that encoders add, ours among them.
_PLAIN: Final = frozenset(b"IHDR PLTE tRNS IDAT IEND pHYs gAMA cHRM sRGB sBIT bKGD tIME cICP".split())
# Ten times what an encoder with small pieces (8 KiB) needs for the largest body; a look at each costs time.
MAX_CHUNKS: Final = 20_000


def plain(body: bytes) -> bytes:
    """The PNG file without its texts, profiles and all that is not needed; itself if there are none.

    A file that is cut off stays as it is: its decoder says so.

    Raises:
        DecodeError: it consists of too many pieces.
    """
    kept: list[bytes] | None = None
    kept_to, at, count = 0, _SIGNATURE_BYTES, 0
    size = len(body)
    while at + _CHUNK.size <= size:
        length, name = _CHUNK.unpack_from(body, at)
        end = min(at + length + _EXTRA, size)
        count += 1
        if count > MAX_CHUNKS:
            raise DecodeError(f"png body has more than {MAX_CHUNKS} chunks")
        if name not in _PLAIN:
            kept = kept or []
            kept.append(body[kept_to:at])
            kept_to = end
        if name == b"IEND":
            break
        at = end
    if kept is None:
        return body
    kept.append(body[kept_to:])
    return b"".join(kept)
