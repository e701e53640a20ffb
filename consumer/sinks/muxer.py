"""Writes encoded frames to an MP4 or Matroska file that is playable at any time.

Bodies are copied without re-encoding; only raw pictures are encoded, with libx264.
"""

from __future__ import annotations

import contextlib
import io
import re
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from fanlight.common import codec
from fanlight.common.model.errors import SinkError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader, rate_fraction

FORMATS: Final = {".mp4": "mp4", ".mkv": "matroska"}
_TRACKS: Final = {Codec.H264: "h264", Codec.JPEG: "mjpeg", Codec.PNG: "png", Codec.RAW: "h264"}
TIME_BASE: Final = Fraction(1, 90_000)
"""Of all timestamps: 90 kHz, as in MPEG."""
_TICKS_PER_MS: Final = TIME_BASE.denominator // 1000
# A start code, and the NAL unit after it.
_NAL_UNIT: Final = re.compile(rb"\x00\x00\x01[^\x00]")
_RAW_CRF: Final = 18
# Fragments and clusters are self-contained: kill -9 only loses the current one. A cluster costs 20
# bytes, so each frame has its own; a fragment costs more and is slower to find. Fragments that start at
# keyframes make the file seekable, but with intra-only codecs each frame would become a fragment.
_MATROSKA: Final = {"cluster_time_limit": "1", "flush_packets": "1"}
_MP4: Final = {"frag_duration": "250000", "flush_packets": "1"}
MP4_FLAGS: Final = "empty_moov+default_base_moof"

MIN_STEP_NS: Final = 1_000_000
"""Matroska counts in milliseconds: two frames must not fall into one."""
MAX_STEP_NS: Final = 3_600_000_000_000
"""MP4 keeps the duration of a frame in 32 bits; a longer pause is recorded as an hour."""
_TOLERANCE_NS: Final = 2_000_000_000


def require_codec(path: Path, codec: Codec) -> None:
    """Raises SinkError if this kind of file cannot hold the codec."""
    if codec is Codec.PNG and path.suffix.lower() == ".mkv":
        raise SinkError(f"{path} cannot hold png: record to a file that ends in .mp4")


def add_track(container: OutputContainer, header: FrameHeader) -> VideoStream:
    """Add a track for bodies like this one, in ticks of `TIME_BASE`."""
    track = _TRACKS[header.codec]
    # 4:2:0 needs even sizes; the encoder pads an odd one by a pixel, and MP4 has no crop.
    padded = track == "h264"
    stream = container.add_mux_stream(
        track,
        rate=rate_fraction(header.fps),
        width=header.width + (header.width % 2 if padded else 0),
        height=header.height + (header.height % 2 if padded else 0),
        time_base=TIME_BASE,
    )
    assert isinstance(stream, VideoStream)  # noqa: S101 - since all codecs are
    return stream


class Timeline:
    """Timestamps of a file, in nanoseconds since its first frame, strictly increasing. Pure.

    The step between two frames is that of their capture times if it agrees with that of their arrival
    times; else a clock was set, or the producer changed, and the step of the arrival times is used.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self._last: tuple[int, int] | None = None

    def advance(self, capture_ns: int, arrival_ns: int) -> int:
        """The timestamp of the next frame.

        Args:
            capture_ns: Unix time, by the producer's clock; may jump.
            arrival_ns: monotonic time of this process.
        """
        if self._last is not None:
            captured_ns = capture_ns - self._last[0]
            arrived_ns = arrival_ns - self._last[1]
            trusted = abs(captured_ns - arrived_ns) <= _TOLERANCE_NS
            step_ns = captured_ns if trusted else arrived_ns
            self.now_ns += min(max(step_ns, MIN_STEP_NS), MAX_STEP_NS)
        self._last = (capture_ns, arrival_ns)
        return self.now_ns


class WholeFile(io.FileIO):
    """Writes all that it gets, or fails: libav takes no notice of a part, such as what a full disk holds.

    Unbuffered: libav has a buffer, and errors must be raised by the write that failed.
    """

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size_bytes = len(left)
        while left:
            left = left[super().write(left) :]
        return size_bytes


class Muxer:
    """Writes one codec and size into `file`, which it closes. Belongs to one thread.

    All but the newest frame (Matroska) or those of the last quarter of a second (MP4) are flushed; libav
    flushes when it gets the next frame, not by a timer.

    Args:
        header: of the first frame, whose capture time becomes the start time of the file.

    Attributes:
        frames: number of frames written.
    """

    def __init__(self, file: BinaryIO, header: FrameHeader) -> None:
        self.frames = 0
        self._file = file
        self._whole_bytes = 0
        suffix = Path(file.name).suffix.lower()
        self._in_ms = suffix == ".mkv"
        inter_coded = _TRACKS[header.codec] == "h264"
        options = _MATROSKA
        if suffix == ".mp4":
            options = {**_MP4, "movflags": MP4_FLAGS + ("+frag_keyframe" if inter_coded else "")}
        self._container = av.open(file, "w", format=FORMATS[suffix], options=options)
        self._stream = add_track(self._container, header)
        # MP4 keeps `creation_time` in seconds; `date` is a text.
        began = datetime.fromtimestamp(header.capture_ns / 1e9, UTC).isoformat()
        self._container.metadata.update({"creation_time": began, "date": began})
        self._timeline = Timeline()
        self._frame_s = min(1 / header.fps, MAX_STEP_NS / 1e9)
        self._encoder = None
        if header.codec is Codec.RAW:
            self._encoder = codec.encoder(Codec.H264, fps=header.fps, gop_s=1.0, quality=_RAW_CRF)
            self._pixels = codec.decoder(Codec.RAW)

    def write(self, frame: EncodedFrame, arrival_ns: int) -> None:
        """Append one frame; the first one must be a keyframe. `arrival_ns` is monotonic.

        Raises:
            OSError: the file cannot be written.
            FFmpegError: libav refuses the body.
            SinkError: there is nothing in it.
        """
        body, key = frame.body, frame.header.key
        if self._encoder is not None:
            encoded = self._encoder.encode(self._pixels.decode(frame).pixels(), key=False)
            body, key = encoded.body, encoded.key
        # Players refuse a whole MP4 file if one of its fragments begins with nothing.
        if not (_NAL_UNIT.search(body) if _TRACKS[frame.header.codec] == "h264" else body):
            raise SinkError(f"a body of {frame.header.codec} with nothing in it")
        packet = av.Packet(body)
        packet.stream = self._stream
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = ticks(self._timeline.advance(frame.header.capture_ns, arrival_ns))
        # Used for the last frame only: for others libav uses the next timestamp.
        packet.duration = ticks(min(1e9 / frame.header.fps, MAX_STEP_NS))
        packet.is_keyframe = key
        self._container.mux_one(packet)
        self._whole_bytes = self._file.tell()
        self.frames += 1

    @property
    def position_s(self) -> float:
        """When the newest frame plays, from the start of the file; exactly what players say."""
        at_ticks = ticks(self._timeline.now_ns)
        if self._in_ms:
            return (at_ticks + _TICKS_PER_MS // 2) // _TICKS_PER_MS / 1000
        return round(at_ticks / TIME_BASE.denominator, 6)

    @property
    def duration_s(self) -> float:
        """How long the file plays."""
        return self._timeline.now_ns / 1e9 + self._frame_s

    def close(self) -> None:
        """Write pending data and the index, and close the file."""
        try:
            self._container.close()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file without an index, after a write has failed.

        Without what was written of it, too: FFmpeg opens no MP4 file with half the head of a fragment.
        """
        with contextlib.suppress(OSError):
            self._file.truncate(self._whole_bytes)
        # With the file closed PyAV writes no index; else the failed write would be repeated.
        self._file.close()
        self._container.close()


def ticks(duration_ns: float) -> int:
    """A duration, counted in `TIME_BASE`."""
    return round(duration_ns * TIME_BASE.denominator / 1_000_000_000)


class Written:
    """A file in memory that libav writes to."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        """What was written since the last call."""
        data = bytes(self._data)
        self._data.clear()
        return data
