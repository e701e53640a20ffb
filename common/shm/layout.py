"""The memory layout of a segment. Pure.

A segment is memory of the host: pages with a header and words of state, then slots for one picture each.
Pictures are numbered from 1; number n is in slot (n - 1) modulo the number of slots. All integers are in
native byte order. A file with the segment's name says which memory it is (`FILE`).

    byte   contents
    0      magic, version, pixel format, width, height, slots, stride, epoch, grace time (`_HEADER`)
    56     number of the newest picture, 64 bits; its low half is the futex that readers wait for
    64     liveness: monotonic time of the hub's last heartbeat; 0 once it has ended
    72     1 once the stream has ended in good order: the newest picture is its last
    128    64 bytes per slot: number, or 0 while the slot is written; then the fields of `Slot`
    ...    the slots, in whole pages: the pixels, then up to 2048 bytes of JSON text, the frame's meta
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

import numpy as np

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import MAX_PIXELS, MAX_SIDE, Codec
from fanlight.common.model.meta import MAX_META_BYTES
from fanlight.common.model.pixels import PixelFormat, Pixels, shape, size_bytes

VERSION: Final = 3
MAGIC: Final = b"FANLIGHT"
PAGE: Final = 4096
MAX_SLOTS: Final = 1024
# magic, version, pixel format, width, height, slots, (unused), stride, epoch, grace
_HEADER: Final = Struct("@8sIIIIIIQQQ")
# magic, number of the memory
FILE: Final = Struct("@8si")
# Indices of 64-bit words. Both sides load and store whole words, which are never torn.
NEWEST: Final = 7
LIVENESS: Final = 8
ENDED: Final = 9
SLOTS_AT: Final = 16
SLOT_WORDS: Final = 8
# seq, capture_ns, captured_ns, written_ns, fps, codec, key, meta_bytes: written after the number, read
# together with it
FIELDS: Final = Struct("@QQQQdIIQ")
SLOT: Final = Struct("@QQQQQdIIQ")
# In addition to the slots within their grace time: one being written, one for a frame that comes early.
_SPARE_SLOTS: Final = 2

_FORMATS: Final = {1: PixelFormat.BGR, 2: PixelFormat.I420, 3: PixelFormat.GREY}
_FORMAT_NUMBERS: Final = {pixel_format: number for number, pixel_format in _FORMATS.items()}
CODECS: Final = tuple(Codec)


class Slot(NamedTuple):
    """The metadata of one shared picture.

    Attributes:
        number: counts the pictures of the segment, from 1; 0 while the slot is written.
        capture_ns: Unix time at capture, by the producer's wall clock.
        captured_ns: the same moment by this host's monotonic clock, as estimated by the hub.
        written_ns: Unix time at which the hub wrote it.
        fps: nominal rate of the stream.
        codec_number, keyframe: of the frame from which it was decoded; `codec_number` indexes `CODECS`.
        meta_bytes: size of the frame's meta, which is behind the pixels.
    """

    number: int
    seq: int
    capture_ns: int
    captured_ns: int
    written_ns: int
    fps: float
    codec_number: int
    keyframe: int
    meta_bytes: int = 0


def slots_for(grace_s: float, fps: float) -> int:
    """Slots needed so that no picture is overwritten within its grace time; at most `MAX_SLOTS`."""
    return min(MAX_SLOTS, int(grace_s * fps) + 1 + _SPARE_SLOTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """The constant part of a segment's contents.

    Attributes:
        slots: number of slots.
        epoch: epoch of the producer.
        grace_ns: a picture is not overwritten for this long.
    """

    format: PixelFormat
    width: int
    height: int
    slots: int
    epoch: int
    grace_ns: int

    @property
    def picture_bytes(self) -> int:
        return size_bytes(self.format, self.width, self.height)

    @property
    def stride(self) -> int:
        """Distance between slots in bytes: whole pages."""
        return _pages(self.picture_bytes + MAX_META_BYTES)

    @property
    def head_bytes(self) -> int:
        """Bytes before the first picture."""
        return _pages(8 * number_at(self.slots))

    def meta_at(self, slot: int) -> int:
        """Where a slot's meta begins."""
        return self.head_bytes + slot * self.stride + self.picture_bytes

    @property
    def memory_bytes(self) -> int:
        return self.head_bytes + self.slots * self.stride

    def serialize(self) -> bytes:
        return _HEADER.pack(
            MAGIC, VERSION, _FORMAT_NUMBERS[self.format], self.width, self.height, self.slots, 0,
            self.stride, self.epoch, self.grace_ns,
        )  # fmt: skip

    @classmethod
    def parse(cls, page: bytes | memoryview, memory_bytes: int) -> SegmentHeader:
        """Parse the first page of a segment and compare it with the size of the memory.

        Raises:
            WireFormatError: not a segment of this version, or truncated.
        """
        if len(page) < _HEADER.size:
            raise WireFormatError("segment", f"{len(page)} bytes", f"{PAGE} and more")
        magic, version, number, width, height, slots, _, stride, epoch, grace_ns = _HEADER.unpack_from(page)
        if magic != MAGIC:
            raise WireFormatError("segment", magic, repr(MAGIC))
        if version != VERSION:
            raise WireFormatError("segment version", version, str(VERSION))
        pixel_format = _FORMATS.get(number)
        if pixel_format is None:
            raise WireFormatError("pixel format", number, ", ".join(map(str, _FORMATS)))
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
            raise WireFormatError("width x height", f"{width}x{height}", f"up to {MAX_PIXELS} pixels")
        if pixel_format is PixelFormat.I420 and (width % 2 or height % 2):
            raise WireFormatError("width x height", f"{width}x{height}", "even sizes for i420")
        if not 1 <= slots <= MAX_SLOTS:
            raise WireFormatError("slots", slots, f"1 to {MAX_SLOTS}")
        header = cls(
            format=pixel_format, width=width, height=height, slots=slots, epoch=epoch, grace_ns=grace_ns
        )
        if stride != header.stride or memory_bytes != header.memory_bytes:
            raise WireFormatError("segment", f"{memory_bytes} bytes", str(header.memory_bytes))
        return header


def pictures(memory: memoryview, header: SegmentHeader) -> list[Pixels]:
    """The pictures of a segment by slot, without a copy; read-only if the memory is."""
    array_shape = shape(header.format, header.width, header.height)
    return [
        np.frombuffer(memory, np.uint8, header.picture_bytes, header.head_bytes + slot * header.stride)
        .reshape(array_shape)
        for slot in range(header.slots)
    ]  # fmt: skip


def words(memory: memoryview, header: SegmentHeader) -> memoryview[int]:
    """The part before the pictures as 64-bit words: see `NEWEST`, `LIVENESS` and `number_at`."""
    return memory[: header.head_bytes].cast("Q")


def number_at(index: int) -> int:
    """Index of the word with the number of the picture in a slot."""
    return SLOTS_AT + index * SLOT_WORDS


def _pages(size_bytes: int) -> int:
    return -(-size_bytes // PAGE) * PAGE


class SlotRing:
    """Selects the slot to write next: the oldest one, once its grace time is over."""

    def __init__(self, slots: int, grace_ns: int) -> None:
        self._grace_ns = grace_ns
        self._written_ns: list[int | None] = [None] * slots
        self._next = 0

    def claim(self, now_ns: int) -> int | None:
        """The slot to write at this monotonic time; None if all pictures are still in their grace time."""
        slot = self._next
        written_ns = self._written_ns[slot]
        if written_ns is not None and now_ns - written_ns < self._grace_ns:
            return None
        return slot

    def written(self, slot: int, now_ns: int) -> None:
        """Record that a picture was written: its grace time begins at `now_ns`."""
        self._written_ns[slot] = now_ns
        self._next = (slot + 1) % len(self._written_ns)
