from __future__ import annotations

import mmap
import struct
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.meta import MAX_META_BYTES
from fanlight.common.model.pixels import PixelFormat
from fanlight.common.shm.layout import (
    CODECS,
    LIVENESS,
    MAX_SLOTS,
    NEWEST,
    PAGE,
    SLOT,
    SLOT_WORDS,
    SegmentHeader,
    Slot,
    SlotRing,
    number_at,
    slots_for,
)
from tests.unit.common.shm.build import described

SECOND = 1_000_000_000

uint64 = st.integers(0, 2**64 - 1)
sides = st.integers(1, 16384)

# The first page ------------------------------------------------------------------------------------------

GOLDEN = described(PixelFormat.I420, width=640, height=360, slots=20, epoch=0x1122334455667788, grace_ns=10)
GOLDEN_BYTES = bytes.fromhex(
    "46414e4c49474854"  # FANLIGHT
    "03000000 02000000 80020000 68010000 14000000 00000000"
    "0050050000000000"  # 345600 bytes and 2048 for meta, in whole pages: 348160
    "8877665544332211"
    "0a00000000000000"
)
# Where each field is, and how it is packed.
VERSION_AT, FORMAT_AT, WIDTH_AT, HEIGHT_AT, SLOTS_AT, UNUSED_AT, STRIDE_AT = 8, 12, 16, 20, 24, 28, 32

headers = st.builds(
    SegmentHeader,
    format=st.sampled_from(PixelFormat),
    width=st.integers(1, 2000),
    height=sides,
    slots=st.integers(1, MAX_SLOTS),
    epoch=uint64,
    grace_ns=uint64,
)


def changed(offset: int, value: int, size: str = "<I") -> bytes:
    page = bytearray(GOLDEN_BYTES)
    struct.pack_into(size, page, offset, value)
    return bytes(page)


def test_the_first_page_is_the_one_that_is_written_down() -> None:
    assert GOLDEN.serialize() == GOLDEN_BYTES
    assert SegmentHeader.parse(GOLDEN_BYTES, PAGE + 20 * 348160) == GOLDEN


def test_what_changes_while_it_is_used_lies_behind_the_header() -> None:
    assert (8 * NEWEST, 8 * LIVENESS, 8 * number_at(0)) == (len(GOLDEN_BYTES), 64, 128)
    assert number_at(1) - number_at(0) == SLOT_WORDS == 8, (
        "a slot's words share no cache line with another's"
    )
    assert (NEWEST, LIVENESS) < (8, 16), "nor do the words that all read and those of the slots"


@given(headers, st.binary(max_size=100))
def test_a_header_comes_back_as_it_was_whatever_follows(header: SegmentHeader, rest: bytes) -> None:
    if header.format is PixelFormat.I420 and (header.width % 2 or header.height % 2):
        with pytest.raises(WireFormatError, match="even sizes for i420"):
            SegmentHeader.parse(header.serialize() + rest, header.memory_bytes)
        return
    assert SegmentHeader.parse(header.serialize() + rest, header.memory_bytes) == header


@given(headers)
def test_slots_are_whole_pages_and_hold_a_picture_and_its_meta(header: SegmentHeader) -> None:
    assert header.stride % PAGE == 0
    assert header.picture_bytes + MAX_META_BYTES <= header.stride
    assert header.stride < header.picture_bytes + MAX_META_BYTES + PAGE
    assert header.meta_at(header.slots - 1) + MAX_META_BYTES <= header.memory_bytes
    assert header.head_bytes % PAGE == 0
    assert 8 * number_at(header.slots) <= header.head_bytes < 8 * number_at(header.slots) + PAGE
    assert header.memory_bytes == header.head_bytes + header.slots * header.stride


def test_a_header_that_is_cut_off_anywhere_is_refused() -> None:
    for length in range(len(GOLDEN_BYTES)):
        with pytest.raises(
            WireFormatError, match=f"^segment is '{length} bytes': allowed is 4096 and more"
        ):
            SegmentHeader.parse(GOLDEN_BYTES[:length], GOLDEN.memory_bytes)


@given(st.lists(st.tuples(st.integers(8, 55), st.integers(0, 255)), min_size=1, max_size=4), uint64)
def test_a_page_with_any_bytes_changed_is_a_segment_or_refused(
    changes: list[tuple[int, int]], memory_bytes: int
) -> None:
    page = bytearray(GOLDEN_BYTES)
    for offset, value in changes:
        page[offset] = value
    for size in (memory_bytes, GOLDEN.memory_bytes):
        try:
            header = SegmentHeader.parse(bytes(page), size)
        except WireFormatError:
            continue
        assert header.memory_bytes == size


@pytest.mark.parametrize(
    ("page", "field"),
    [
        (b"fanlight" + GOLDEN_BYTES[8:], "segment"),
        (changed(VERSION_AT, 0), "segment version"),
        (changed(VERSION_AT, 1), "segment version"),
        (changed(FORMAT_AT, 0), "pixel format"),
        (changed(FORMAT_AT, 4), "pixel format"),
        (changed(WIDTH_AT, 0), "width x height"),
        (changed(WIDTH_AT, 16385), "width x height"),
        (changed(HEIGHT_AT, 0), "width x height"),
        (changed(HEIGHT_AT, 16385), "width x height"),
        (changed(HEIGHT_AT, 2**32 - 1), "width x height"),
        (changed(WIDTH_AT, 16384)[:HEIGHT_AT] + changed(HEIGHT_AT, 16384)[HEIGHT_AT:], "width x height"),
        (changed(SLOTS_AT, 0), "slots"),
        (changed(SLOTS_AT, MAX_SLOTS + 1), "slots"),
        (changed(SLOTS_AT, 21), "segment"),
        (changed(WIDTH_AT, 1280), "segment"),
        (changed(FORMAT_AT, 1), "segment"),
        (changed(STRIDE_AT, 0, "<Q"), "segment"),
        (changed(STRIDE_AT, 345600, "<Q"), "segment"),
        (changed(STRIDE_AT, 2**64 - 1, "<Q"), "segment"),
    ],
)
def test_a_field_that_is_out_of_range_is_refused_by_its_name(page: bytes, field: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        SegmentHeader.parse(page, GOLDEN.memory_bytes)
    assert caught.value.field == field


@pytest.mark.parametrize("wrong", [-GOLDEN.memory_bytes, -PAGE, -1, 1, PAGE])
def test_a_file_of_another_size_is_refused(wrong: int) -> None:
    with pytest.raises(WireFormatError, match=f"allowed is {GOLDEN.memory_bytes}$"):
        SegmentHeader.parse(GOLDEN_BYTES, GOLDEN.memory_bytes + wrong)


def test_the_largest_picture_and_any_unused_field_are_accepted() -> None:
    largest = replace(GOLDEN, width=7680, height=4320, slots=MAX_SLOTS)
    assert SegmentHeader.parse(largest.serialize(), largest.memory_bytes) == largest
    assert SegmentHeader.parse(changed(UNUSED_AT, 2**32 - 1), GOLDEN.memory_bytes) == GOLDEN


# Slots ---------------------------------------------------------------------------------------------------


def mapped(header: SegmentHeader) -> mmap.mmap:
    return mmap.mmap(-1, header.memory_bytes)


def test_a_slot_is_written_as_it_is_written_down() -> None:
    packed = SLOT.pack(*Slot(9, 1, 2, 3, 4, 29.97, 1, 1, 7))
    assert packed == struct.pack("=QQQQQdIIQ", 9, 1, 2, 3, 4, 29.97, 1, 1, 7)
    assert len(packed) <= 8 * SLOT_WORDS


def test_every_codec_has_its_number() -> None:
    """Hubs and viewers of other versions may meet at one ring."""
    assert [CODECS.index(codec) for codec in ("h264", "jpeg", "png", "raw")] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("grace_s", "fps", "slots"),
    [
        (0.0, 30.0, 3),
        (0.5, 30.0, 18),
        (0.5, 25.0, 15),
        (0.5, 29.97, 17),
        (2.0, 0.1, 3),
        (34.0, 30.0, 1023),
        (34.1, 30.0, MAX_SLOTS),
        (3600.0, 1000.0, MAX_SLOTS),
    ],
)
def test_there_are_slots_for_the_grace_time_and_two_more(grace_s: float, fps: float, slots: int) -> None:
    assert slots_for(grace_s, fps) == slots


def test_a_slot_that_was_claimed_and_not_written_is_claimed_again() -> None:
    ring = SlotRing(2, 10)
    assert [ring.claim(0), ring.claim(0)] == [0, 0]
    ring.written(0, 0)
    assert [ring.claim(0), ring.claim(0)] == [1, 1]


@given(
    st.integers(1, 6),
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300), st.booleans()), max_size=80),
)
def test_no_slot_is_handed_out_within_grace_of_its_last_write(
    slots: int, grace_ns: int, turns: list[tuple[int, int, bool]]
) -> None:
    ring = SlotRing(slots, grace_ns)
    written: dict[int, int] = {}
    now_ns = 0
    for pause_ns, takes_ns, succeeds in turns:
        now_ns += pause_ns
        slot = ring.claim(now_ns)
        if slot is None:
            oldest_ns = min(written.values())
            assert len(written) == slots, "there was one that never was written"
            assert now_ns - oldest_ns < grace_ns, "there was one whose time was over"
            continue
        assert 0 <= slot < slots
        assert slot not in written or now_ns - written[slot] >= grace_ns
        now_ns += takes_ns
        if succeeds:
            ring.written(slot, now_ns)
            written[slot] = now_ns


@given(st.floats(0, 10), st.floats(0.1, 1000), st.integers(0, 2**62))
def test_a_source_at_its_rate_is_never_without_a_slot(grace_s: float, fps: float, begin_ns: int) -> None:
    grace_s = min(grace_s, (MAX_SLOTS - 3) / fps)
    slots = slots_for(grace_s, fps)
    ring = SlotRing(slots, int(grace_s * 1e9))
    times_ns = [begin_ns + int(n * SECOND / fps) for n in range(2 * slots + 2)]
    for now_ns, following_ns in pairwise(times_ns):
        slot = ring.claim(now_ns)
        assert slot is not None
        # However long the picture takes: it is complete before the next one comes.
        ring.written(slot, following_ns)
