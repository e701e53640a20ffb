from __future__ import annotations

import resource
import struct
import zlib

import numpy as np
import pytest

from fanlight.common.codec import decoder
from fanlight.common.codec.png_chunks import MAX_CHUNKS, without_metadata
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec
from tests.unit.common.codec.build import encode, framed, noise

PICTURE = noise(32, 24)
BODY = encode(Codec.PNG, PICTURE).body
AFTER_HEADER = 8 + 25


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(added: bytes) -> bytes:
    return BODY[:AFTER_HEADER] + added + BODY[AFTER_HEADER:]


def test_a_file_without_metadata_is_not_copied() -> None:
    assert without_metadata(BODY) is BODY


@pytest.mark.parametrize(
    ("name", "before"),
    [(b"zTXt", b"k\0\0"), (b"iCCP", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0"), (b"eXIf", b""), (b"acTL", b"")],
)
def test_texts_and_profiles_are_removed(name: bytes, before: bytes) -> None:
    assert without_metadata(with_chunk(chunk(name, before + zlib.compress(b"x")))) == BODY


@pytest.mark.parametrize(("name", "before"), [(b"zTXt", b"k\0\0"), (b"iCCP", b"k\0\0")])
def test_a_decompression_bomb_takes_no_memory(name: bytes, before: bytes) -> None:
    bomb = chunk(name, before + zlib.compress(bytes(200 << 20), 1))
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert np.array_equal(
        decoder(Codec.PNG).decode(framed(Codec.PNG, with_chunk(bomb), (32, 24))).pixels(), PICTURE
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - highest < 50 * 1024


def test_too_many_chunks_are_refused() -> None:
    body = with_chunk(chunk(b"tEXt", b"") * MAX_CHUNKS)
    with pytest.raises(DecodeError, match=f"more than {MAX_CHUNKS} chunks"):
        without_metadata(body)


def test_a_file_truncated_anywhere_is_left_to_the_decoder() -> None:
    whole = with_chunk(chunk(b"tEXt", b"hello"))
    for end in range(len(whole)):
        assert len(without_metadata(whole[:end])) <= end
