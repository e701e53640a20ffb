"""What the bytes of a segment mean, and those of a reference to one of its pictures. Pure.

A segment is a file of the host's shared memory: one page that says what is in it, then slots, each of which
holds one picture. Written down for other languages in `docs/wire.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from common.errors import WireFormatError
from common.frame import MAX_PIXELS, MAX_SIDE, STREAM_NAME
from common.pixels import Form, PixelFormat, Pixels, shape, size_bytes

if TYPE_CHECKING:
    from mmap import mmap

VERSION: Final = 1
MAGIC: Final = b"FANLIGHT"
PAGE: Final = 4096
# magic, version, pixel format, width, height, slots, (unused), stride, epoch, grace
_HEADER: Final = Struct("<8sIIIIIIQQQ")
# The beat, and behind it the generation of every slot: 64 bits each, aligned, native byte order.
BEAT_AT: Final = 56
GENERATIONS_AT: Final = 64
BEAT, GENERATIONS = BEAT_AT // 8, GENERATIONS_AT // 8  # in `words`
MAX_SLOTS: Final = PAGE // 8 - GENERATIONS
# Beyond the grace time: one slot is being written, one is spare for a frame that comes early.
_SPARE_SLOTS: Final = 2

_FORMATS: Final = {1: PixelFormat.BGR, 2: PixelFormat.I420, 3: PixelFormat.GREY}
_NUMBERS: Final = {pixel_format: number for number, pixel_format in _FORMATS.items()}
_MAX_UINT64: Final = 2**64 - 1
_NAME: Final = re.compile(
    rf"fanlight\.{VERSION}\.({STREAM_NAME.pattern})\.([a-z0-9-]{{1,32}})\.([0-9a-f]{{16}})\.([0-9a-f]{{8}})"
)
LOCK_SUFFIX: Final = "lock"
_LOCK_NAME: Final = re.compile(
    rf"fanlight\.{VERSION}\.{STREAM_NAME.pattern}\.[a-z0-9-]{{1,32}}\.{LOCK_SUFFIX}"
)


class Reference(NamedTuple):
    """The body of a message that refers to a shared picture.

    Attributes:
        segment: name of the file.
        generation: what the slot says while it holds this picture.
    """

    segment: str
    slot: int
    generation: int

    def serialize(self) -> bytes:
        """Readable in RabbitMQ's console: `SEGMENT SLOT GENERATION`."""
        return f"{self.segment} {self.slot} {self.generation}".encode()

    @classmethod
    def parse(cls, body: bytes) -> Reference:
        """Raises WireFormatError if that is not what it says."""
        parts = body.split(b" ")
        if len(parts) == 3 and len(body) <= 256 and parts[1].isdigit() and parts[2].isdigit():
            slot, generation = int(parts[1]), int(parts[2])
            if slot < MAX_SLOTS and 0 < generation <= _MAX_UINT64:
                return cls(parts[0].decode("ascii", "replace"), slot, generation)
        raise WireFormatError("body", body, "SEGMENT SLOT GENERATION")


def prefix(stream: str, form: Form) -> str:
    """How the names of all segments of a stream begin that hold pictures of this form."""
    return f"fanlight.{VERSION}.{stream}.{form}."


def segment_name(stream: str, form: Form, epoch: int, suffix: str) -> str:
    """Name of a segment; `suffix` is 8 hex digits that tell it from others."""
    return f"{prefix(stream, form)}{epoch:016x}.{suffix}"


def check_name(name: str, stream: str, form: Form) -> int:
    """The epoch in the name of a segment.

    Raises:
        WireFormatError: this is not the name of one that holds such pictures.
    """
    match = _NAME.fullmatch(name)
    if match is None or (match[1], match[2]) != (stream, str(form)):
        raise WireFormatError("segment", name, f"{prefix(stream, form)}EPOCH.SUFFIX")
    return int(match[3], 16)


def is_ours(name: str) -> bool:
    """Whether a file of that name is a segment, or the lock of a hub, of this version."""
    return _NAME.fullmatch(name) is not None or _LOCK_NAME.fullmatch(name) is not None


def slots_for(grace_s: float, fps: float) -> int:
    """Slots that it takes to leave every picture alone for its grace time; at most `MAX_SLOTS`."""
    return min(MAX_SLOTS, int(grace_s * fps) + 1 + _SPARE_SLOTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """What a segment holds.

    Attributes:
        slots: pictures that it has room for.
        epoch: of the producer.
        grace_ns: a picture is left alone for so long after it was written.
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
        """From one slot to the next: whole pages."""
        return -(-self.picture_bytes // PAGE) * PAGE

    @property
    def file_bytes(self) -> int:
        return PAGE + self.slots * self.stride

    def serialize(self) -> bytes:
        return _HEADER.pack(
            MAGIC,
            VERSION,
            _NUMBERS[self.format],
            self.width,
            self.height,
            self.slots,
            0,
            self.stride,
            self.epoch,
            self.grace_ns,
        )

    @classmethod
    def parse(cls, page: bytes, file_bytes: int) -> SegmentHeader:
        """Read the first bytes of a segment, and compare them with the file's size.

        Raises:
            WireFormatError: this is no segment of this version, or it is cut off.
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
        if stride != header.stride or file_bytes != header.file_bytes:
            raise WireFormatError("segment", f"{file_bytes} bytes", str(header.file_bytes))
        return header


def pictures(memory: mmap, header: SegmentHeader) -> list[Pixels]:
    """The pictures in a mapped segment, slot by slot, without a copy; read-only if the memory is."""
    form = shape(header.format, header.width, header.height)
    return [
        np.frombuffer(memory, np.uint8, header.picture_bytes, PAGE + slot * header.stride).reshape(form)
        for slot in range(header.slots)
    ]


def words(memory: mmap) -> memoryview[int]:
    """The first page in words of 64 bits: see `BEAT` and `GENERATIONS`."""
    return memoryview(memory)[:PAGE].cast("Q")


class SlotRing:
    """Which slot may be written next: the one that was written first, once its grace time is over."""

    def __init__(self, slots: int, grace_ns: int) -> None:
        self._grace_ns = grace_ns
        self._written_ns: list[int | None] = [None] * slots
        self._next = 0

    def claim(self, now_ns: int) -> int | None:
        """A slot to write now (monotonic time); None if all pictures are still in their grace time."""
        slot = self._next
        written_ns = self._written_ns[slot]
        if written_ns is not None and now_ns - written_ns < self._grace_ns:
            return None
        return slot

    def written(self, slot: int, now_ns: int) -> None:
        """A picture was written from that time on: its grace time has begun."""
        self._written_ns[slot] = now_ns
        self._next = (slot + 1) % len(self._written_ns)
