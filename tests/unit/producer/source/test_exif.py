from __future__ import annotations

import struct

import pytest

from fanlight.producer.source.exif import is_tiled_or_jpeg, orientation


def tiff(order: str, *entries: tuple[int, int]) -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    listed = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    return start + struct.pack(f"{order}IH", 8, len(entries)) + listed


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "before", [b"", b"\xff\xd8\xff\xe1..Exif\0\0", b"\x89PNG....eXIf", b"RIFF....WEBP..EXIF\x10\n\0\0"]
)
def test_the_orientation_is_found(order: str, before: bytes) -> None:
    assert orientation(before + tiff(order, (0x10F, 9), (0x112, 6), (0x112, 3))) == 6


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xd9",
        tiff("<"),
        tiff("<", (0x112, 0)),
        tiff("<", (0x112, 9)),
        tiff("<", (0x112, 6))[:-5],
        b"II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*",
    ],
)
def test_it_is_1_where_there_is_none(data: bytes) -> None:
    assert orientation(data) == 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("entry", "expected"),
    [((0x142, 64), True), ((0x103, 7), True), ((0x103, 5), False), ((0x100, 7), False)],
)
def test_a_tiff_that_ffmpeg_cannot_decode_is_known(
    order: str, entry: tuple[int, int], expected: bool
) -> None:
    assert is_tiled_or_jpeg(tiff(order, entry)) is expected
