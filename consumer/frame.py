"""What a consumer's program gets: one presented frame."""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.picture import BGR
from common.frame import FrameHeader


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture to show now.

    Attributes:
        image: uint8, (height, width, 3), BGR. Its own memory: draw on it, keep it.
        header: the wire header.
        received_ns: Unix time of arrival at this process.
        presented_ns: Unix time at which it was handed over.
        age_s: time from capture to being handed over, in seconds, by the producer's clock.
        lost: frames of the stream that never arrived since the frame presented before this one.
    """

    image: BGR
    header: FrameHeader
    received_ns: int
    presented_ns: int
    age_s: float
    lost: int

    @property
    def seq(self) -> int:
        return self.header.seq

    @property
    def epoch(self) -> int:
        return self.header.epoch

    @property
    def capture_ns(self) -> int:
        return self.header.capture_ns
