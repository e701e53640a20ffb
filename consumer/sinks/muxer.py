"""One recorded file: encoded frames into MP4 or Matroska, so that it is playable at every moment.

Bodies are copied as they are, never encoded again; raw pictures alone go through libx264 first.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import av

from fanlight.common import codec
from fanlight.common.model.errors import SinkError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader

FORMATS: Final = {".mp4": "mp4", ".mkv": "matroska"}
_TRACKS: Final = {Codec.H264: "h264", Codec.JPEG: "mjpeg", Codec.PNG: "png", Codec.RAW: "h264"}
_TIME_BASE: Final = Fraction(1, 90_000)
_RAW_CRF: Final = 18
# A fragment or cluster stands on its own: what is lost by kill -9 is the one being filled. Fragments
# that start at keyframes let players seek, but of intra-only codecs each frame would become one.
_MATROSKA: Final = {"cluster_time_limit": "900", "flush_packets": "1"}
_MP4: Final = {"frag_duration": "900000", "flush_packets": "1"}
_MP4_FLAGS: Final = "empty_moov+default_base_moof"

MIN_STEP_NS: Final = 1_000_000
"""Matroska counts in milliseconds: two frames must not fall into one."""
MAX_STEP_NS: Final = 3_600_000_000_000
"""MP4 keeps the duration of a frame in 32 bits; a longer pause is recorded as an hour."""
_TOLERANCE_NS: Final = 2_000_000_000


class Timeline:
    """Timestamps of a file, in nanoseconds since its first frame: they grow whatever the clocks do. Pure.

    The distance between two frames is that of their capture, as long as it agrees with that of their
    arrival; where it does not, a wall clock was set or another machine's clock took over, and arrival
    is believed.
    """

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._now_ns = 0

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
            self._now_ns += min(max(step_ns, MIN_STEP_NS), MAX_STEP_NS)
        self._last = (capture_ns, arrival_ns)
        return self._now_ns


class Muxer:
    """Writes one codec and size into `file`, which it closes. Belongs to one thread.

    Every 0.9 s or sooner all frames but the newest ones are handed to the operating system; libav does
    so when the next frame comes, not by a timer.

    Raises:
        SinkError: this kind of file cannot hold this codec.
    """

    def __init__(self, file: BinaryIO, header: FrameHeader) -> None:
        self._file = file
        suffix = Path(file.name).suffix.lower()
        if header.codec is Codec.PNG and suffix == ".mkv":
            raise SinkError(f"record:{file.name} cannot hold png: record to a file that ends in .mp4")
        inter_coded = _TRACKS[header.codec] == "h264"
        options = _MATROSKA
        if suffix == ".mp4":
            options = {**_MP4, "movflags": _MP4_FLAGS + ("+frag_keyframe" if inter_coded else "")}
        self._container = av.open(file, "w", format=FORMATS[suffix], options=options)
        # 4:2:0 needs even sizes; an odd one was coded one pixel larger (DESIGN 2), and MP4 has no crop.
        self._stream = self._container.add_mux_stream(
            _TRACKS[header.codec],
            rate=Fraction(header.fps).limit_denominator(1001),
            width=header.width + (header.width % 2 if inter_coded else 0),
            height=header.height + (header.height % 2 if inter_coded else 0),
            time_base=_TIME_BASE,
        )
        self._timeline = Timeline()
        self._encoder = None
        if header.codec is Codec.RAW:
            self._encoder = codec.encoder(Codec.H264, fps=header.fps, gop_s=1.0, quality=_RAW_CRF)
            self._pixels = codec.decoder(Codec.RAW)

    def write(self, frame: EncodedFrame, arrival_ns: int) -> None:
        """Append one frame; the first one must be a keyframe. `arrival_ns` is monotonic.

        Raises:
            OSError: the file cannot be written.
            FFmpegError: libav refuses the body.
        """
        body, key = frame.body, frame.header.key
        if self._encoder is not None:
            encoded = self._encoder.encode(self._pixels.decode(frame).pixels(), key=False)
            body, key = encoded.body, encoded.key
        packet = av.Packet(body)
        packet.stream = self._stream
        packet.time_base = _TIME_BASE
        packet.pts = packet.dts = _ticks(self._timeline.advance(frame.header.capture_ns, arrival_ns))
        # Only for the last frame: of the others libav takes the distance to the next one.
        packet.duration = _ticks(1e9 / frame.header.fps)
        packet.is_keyframe = key
        self._container.mux_one(packet)

    def close(self) -> None:
        """Write what is pending and the index, and close the file."""
        try:
            self._container.close()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file as it stands, after a write has failed."""
        # PyAV leaves the index out where the file is closed; with it, the failed write would come again.
        self._file.close()
        self._container.close()


def _ticks(duration_ns: float) -> int:
    return round(duration_ns * _TIME_BASE.denominator / 1_000_000_000)
