"""Small videos whose every picture carries its number, written as the tests need them."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from fanlight.common.codec.picture import BGR, Converter
from fanlight.producer.source.base import Captured
from fanlight.producer.source.pacing import Clock
from fanlight.producer.source.test_pattern import TestPattern, read_frame_number

START_NS = 1_700_000_000_000_000_000


def pattern(number: int, size: tuple[int, int] = (160, 120)) -> BGR:
    return TestPattern(size, 30).draw(number, START_NS)


def write_clip(
    path: Path,
    count: int = 10,
    *,
    size: tuple[int, int] = (160, 120),
    fps: int = 25,
    codec: str = "mjpeg",
    pixel_format: str = "yuvj420p",
    timestamps: list[int] | None = None,
) -> Path:
    """Pictures 0 to `count` - 1; shown at `timestamps` (milliseconds) if given."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        if timestamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(pattern(number, size), format="bgr24")
            frame.pts = number if timestamps is None else timestamps[number]
            frame.time_base = Fraction(1, fps if timestamps is None else 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def packet_positions(path: Path) -> list[tuple[int, int]]:
    """(offset, size) in bytes of every picture in the file."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        return [(p.pos or 0, p.size) for p in packets]


def wipe_packets(path: Path, indices: list[int] | range) -> None:
    """Make pictures of the file undecodable."""
    data = bytearray(path.read_bytes())
    positions = packet_positions(path)
    for index in indices:
        offset, size = positions[index]
        # Matroska's block header is a few bytes long and stays, or the demuxer would lose its place.
        data[offset + 16 : offset + size] = bytes(size - 16)
    path.write_bytes(data)


def number_of(captured: Captured | None) -> int | None:
    assert captured is not None
    return read_frame_number(np.ascontiguousarray(Converter().to_bgr(captured.picture)))


class SteppedClock(Clock):
    """Nobody waits: waiting sets the time to the deadline.

    Attributes:
        deadlines_ms: what was waited for, from the start.
    """

    def __init__(self, start_ns: int = 50_000_000_000) -> None:
        self.now_ns = self._start_ns = start_ns
        self.deadlines_ms: list[float] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return START_NS + self.now_ns

    def wait_until(self, deadline_ns: int, interrupted: threading.Event) -> bool:
        self.deadlines_ms.append((deadline_ns - self._start_ns) / 1e6)
        self.now_ns = max(self.now_ns, deadline_ns)
        return not interrupted.is_set()
