"""MPEG transport streams of H.264, without encoding; each frame is complete as soon as it is written."""

from __future__ import annotations

from typing import Final

import av

from fanlight.common.model.errors import DecodeError, SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.reasons import reason
from fanlight.consumer.sinks.muxer import TIME_BASE, Timeline, Written, ticks

_OPTIONS: Final = {"flush_packets": "1"}


class TransportStream:
    """What one reader gets. Its first frame is a keyframe; timestamps begin at 0. Not thread-safe.

    The size of the pictures may change: it is in the stream itself.
    """

    def __init__(self) -> None:
        self._written = Written()
        self._container = av.open(self._written, "w", format="mpegts", options=_OPTIONS)
        self._stream = self._container.add_mux_stream("h264", time_base=TIME_BASE)
        self._timeline = Timeline()

    def write(self, frame: EncodedFrame, time_ns: int) -> bytes:
        """The packets of one frame, with the tables of the programme where they are due.

        Args:
            time_ns: when it was captured or came, by a clock of this host, which decides if the capture
                times of two frames do not go together.

        Raises:
            DecodeError: libav refuses the body.
            SinkError: it is no H.264.
        """
        header = frame.header
        if header.codec is not Codec.H264:
            raise SinkError(f"MPEG-TS holds h264 only: stream {header.stream} is {header.codec}")
        packet = av.Packet(frame.body)
        packet.stream, packet.time_base = self._stream, TIME_BASE
        packet.pts = packet.dts = ticks(self._timeline.advance(header.capture_ns, time_ns))
        packet.is_keyframe = header.key
        try:
            self._container.mux_one(packet)
        except av.FFmpegError as error:
            raise DecodeError(f"h264 body cannot be written to MPEG-TS: {reason(error)}") from error
        return self._written.take()

    def close(self) -> None:
        """Release the muxer; there is no trailer."""
        self._container.close()
