"""Fragmented MP4 of H.264 or JPEGs, without encoding: one fragment per frame, written as soon as it comes.

libav makes the initialization segment. It would write a fragment only when the next frame comes, one frame
interval too late; a fragment of one frame is 108 bytes and the frame, so they are written here.
"""

from __future__ import annotations

import struct
from typing import Final

import av

from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.reasons import reason
from fanlight.consumer.sinks.muxer import MP4_FLAGS, TIME_BASE, Timeline, Written, add_track, ticks

TIMESCALE: Final = TIME_BASE.denominator
"""Ticks per second of all timestamps."""
DECODE_TIME_OFFSET: Final = 60
"""Where a fragment has its timestamp: 8 bytes, big endian, in ticks since the first frame."""

_START_CODE: Final = b"\0\0\1"
_SPS: Final = 7
_PPS: Final = 8
_DELIMITER: Final = 9
# They are in the initialization segment, or have no meaning in MP4 (ISO/IEC 14496-15).
_LEFT_OUT: Final = frozenset({_SPS, _PPS, _DELIMITER})
_SIZE: Final = struct.Struct(">I")

# moof, mfhd, traf, tfhd (offsets count from moof), tfdt (64 bits), trun (of one sample), mdat.
_FRAGMENT: Final = struct.Struct(">I4s I4sII I4s I4sII I4sIQ I4sIIIIII I4s")
_MOOF_BYTES: Final = 100
_DEFAULT_BASE_IS_MOOF: Final = 0x020000
_TFDT_64_BITS: Final = 0x01000000
_OFFSET_DURATION_SIZE_FLAGS: Final = 0x000701
_TRACK: Final = 1
_SYNC_SAMPLE: Final = 0x02000000
_OTHER_SAMPLE: Final = 0x01010000
# MSE drops everything up to a keyframe after a step of more than twice the duration of a frame. There a
# duration that the next frame shortens is harmless, so that it covers a camera that skips some frames.
_MSE_DURATION_FRAMES: Final = 2
_MAX_DURATION_NS: Final = 10_000_000_000


class Fragmenter:
    """Makes the fragments of one stream, as long as it `fits`. Timestamps begin at 0. Not thread-safe.

    Args:
        first: a keyframe of H.264, or a JPEG.
        exact: give each frame the duration of the one before it, for players that add up durations (VLC);
            otherwise two intervals, for MSE.

    Attributes:
        init: the initialization segment (`ftyp` and `moov`).
        codec_string: as in `video/mp4; codecs="avc1.42C01F"` (RFC 6381). Browsers play no JPEG in MP4.

    Raises:
        DecodeError: `first` is of another codec, or not a keyframe with its parameter sets.
    """

    def __init__(self, first: EncodedFrame, *, exact: bool = False) -> None:
        header = first.header
        match header.codec:
            case Codec.H264:
                self._parameters = _parameters(nal_units(first.body))
                self.codec_string = _avc(self._parameters)
                # Their copy in the initialization segment is made from the first packet.
                begin = b"".join(b"\0\0\0\1" + unit for unit in (*self._parameters, b"\x65"))
            case Codec.JPEG:
                self._parameters = []
                self.codec_string = "mp4v.6C"
                begin = first.body
            case _:
                raise DecodeError(f"a stream of {header.codec} is not sent as MP4")
        try:
            self.init = _initialization(header, begin)
        except (av.FFmpegError, struct.error) as error:
            raise DecodeError(f"{header.codec} body cannot begin an MP4: {reason(error)}") from error
        self._shape = _shape(header)
        self._exact = exact
        self._timeline = Timeline()
        self._sequence = 0

    def fits(self, frame: EncodedFrame) -> bool:
        """Whether a frame can follow: if not, players need the initialization segment of a new one."""
        if _shape(frame.header) != self._shape:
            return False
        return not frame.header.key or _parameters(nal_units(frame.body)) == self._parameters

    def fragment(self, frame: EncodedFrame, time_ns: int) -> bytes:
        """One `moof` and one `mdat`.

        Args:
            time_ns: when it was captured, by the clock of this host, which decides if the capture times of
                two frames do not go together.

        Raises:
            DecodeError: there is nothing in the body.
        """
        sample = _sample(frame)
        if not sample:
            raise DecodeError(f"{frame.header.codec} body with nothing in it")
        self._sequence += 1
        before_ns = self._timeline.now_ns
        now_ns = self._timeline.advance(frame.header.capture_ns, time_ns)
        interval_ns = 1e9 / frame.header.fps
        if self._exact:
            duration_ns = now_ns - before_ns or interval_ns
        else:
            duration_ns = _MSE_DURATION_FRAMES * interval_ns
        header = _FRAGMENT.pack(
            *(_MOOF_BYTES, b"moof"),
            *(16, b"mfhd", 0, self._sequence),
            *(_MOOF_BYTES - 24, b"traf"),
            *(16, b"tfhd", _DEFAULT_BASE_IS_MOOF, _TRACK),
            *(20, b"tfdt", _TFDT_64_BITS, ticks(now_ns)),
            *(32, b"trun", _OFFSET_DURATION_SIZE_FLAGS, 1, _FRAGMENT.size),
            ticks(min(duration_ns, _MAX_DURATION_NS)),
            *(len(sample), _SYNC_SAMPLE if frame.header.key else _OTHER_SAMPLE),
            *(8 + len(sample), b"mdat"),
        )
        return header + sample


def nal_units(body: bytes) -> list[bytes]:
    """The NAL units of an Annex B body, without start codes; none of them is empty."""
    # Zeros after a unit pad it, or belong to the next start code: a unit does not end in one.
    return [unit for part in body.split(_START_CODE)[1:] if (unit := part.rstrip(b"\0"))]


def _sample(frame: EncodedFrame) -> bytes:
    if frame.header.codec is not Codec.H264:
        return frame.body
    units = [unit for unit in nal_units(frame.body) if unit[0] & 31 not in _LEFT_OUT]
    return b"".join(part for unit in units for part in (_SIZE.pack(len(unit)), unit))


def _avc(parameters: list[bytes]) -> str:
    """Profile, constraints and level, as the sequence parameter set has them."""
    sps = next((unit for unit in parameters if unit[0] & 31 == _SPS and len(unit) >= 4), None)
    if sps is None or len(parameters) < 2:
        raise DecodeError("h264 body does not begin with parameter sets: no MP4 can")
    return f"avc1.{sps[1:4].hex().upper()}"


def _parameters(units: list[bytes]) -> list[bytes]:
    return [unit for unit in units if unit[0] & 31 in (_SPS, _PPS)]


def _shape(header: FrameHeader) -> tuple[Codec, int, int]:
    return header.codec, header.width, header.height


def _initialization(header: FrameHeader, begin: bytes) -> bytes:
    written = Written()
    with av.open(written, "w", format="mp4", options={"movflags": MP4_FLAGS}) as container:
        packet = av.Packet(begin)
        packet.stream, packet.time_base = add_track(container, header), TIME_BASE
        packet.pts = packet.dts = 0
        packet.is_keyframe = True
        container.mux_one(packet)
    data = written.take()
    (ftyp_bytes,) = _SIZE.unpack_from(data)
    (moov_bytes,) = _SIZE.unpack_from(data, ftyp_bytes)
    return data[: ftyp_bytes + moov_bytes]
