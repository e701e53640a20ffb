"""What a checking consumer reports of each frame that it presented: one datagram. Pure."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

_FORM: Final = struct.Struct("<IQQqqqiii64s")
# Codes are read off the picture at three heights.
CODES: Final = 3
UNREADABLE: Final = -1


class Observation(NamedTuple):
    """One presented frame, as it was observed.

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


def pack(observed: Observation) -> bytes:
    return _FORM.pack(*observed[:6], *observed.codes, observed.stream.encode())


def unpack(datagram: bytes) -> Observation:
    values = _FORM.unpack(datagram)
    return Observation._make((*values[:6], values[6:9], values[9].rstrip(b"\0").decode()))


def code_of(capture_ns: int, modulus: int) -> int:
    """The number that is burnt into a picture: its capture time in milliseconds, modulo."""
    return capture_ns // 1_000_000 % modulus
