"""What a checking consumer tells of each frame that it presented: one datagram. Pure."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

_FORM: Final = struct.Struct("<IQQqqqiii64s")
# Codes are read off the picture at three heights.
CODES: Final = 3
UNREADABLE: Final = -1


class Seen(NamedTuple):
    """One presented frame.

    Attributes:
        member: number of the process that presented it, drawn by the rig at its start.
        capture_ns: from the header; by the producer's wall clock.
        presented_ns: by the consumer's wall clock.
        at_ns: monotonic time, which is the same in all processes of a host.
        codes: what the picture says of its own capture, at the top, in the middle and at the bottom;
            `UNREADABLE` where nothing can be read.
    """

    member: int
    epoch: int
    seq: int
    capture_ns: int
    presented_ns: int
    at_ns: int
    codes: tuple[int, int, int]
    stream: str


def pack(seen: Seen) -> bytes:
    return _FORM.pack(
        seen.member, seen.epoch, seen.seq, seen.capture_ns, seen.presented_ns, seen.at_ns,
        *seen.codes, seen.stream.encode(),
    )  # fmt: skip


def unpack(datagram: bytes) -> Seen:
    member, epoch, seq, capture, presented, at, top, middle, bottom, stream = _FORM.unpack(datagram)
    return Seen(
        member, epoch, seq, capture, presented, at, (top, middle, bottom), stream.rstrip(b"\0").decode()
    )


def code_of(capture_ns: int, modulus: int) -> int:
    """The number that is burnt into a picture: its capture time in milliseconds, modulo."""
    return capture_ns // 1_000_000 % modulus
