"""Opens a video file or stream with FFmpeg, within limits."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.common.model.frame import MAX_PIXELS, MIN_FPS
from fanlight.common.model.reasons import reason
from fanlight.producer.settings import Deinterlace

FALLBACK_FPS = 30.0
# Above this a "rate" is the container's clock (90,000 in MPEG-TS, 1,000 in Matroska), not the video's.
_HIGHEST_RATE = 240
# Beyond full HD one thread may not keep up; below it, more threads only add latency and memory.
_PIXELS_PER_THREAD = 1920 * 1088
_DASH = re.compile(r"\.mpd(\?|$)", re.IGNORECASE)

SEGMENTED = frozenset({"hls", "dash"})
"""Formats that consist of segments of several seconds, often in several variants."""


class UnknownFormatError(SourceError):
    """FFmpeg does not recognise what it reads."""


class BinaryInput(Protocol):
    """What FFmpeg reads instead of an address."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, as soon as there are any; none at the end."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class VideoInput:
    """A file or URL.

    Attributes:
        address: as FFmpeg takes it, or what it reads instead.
        name: for messages; without a password.
        options: FFmpeg's, for the demuxer.
        timeouts_s: for opening and for reading; None (for a file) for no limit.
        max_pixels: limit for a picture; FFmpeg refuses a larger one before it allocates memory.
        deinterlace: which pictures to deinterlace.
        size: (width, height) to which pictures will be scaled, or None; the smallest variant that has it is
            chosen.
        format: name of the demuxer; by default FFmpeg finds it out.
    """

    address: str | BinaryInput
    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    timeouts_s: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS
    deinterlace: Deinterlace = Deinterlace.AUTO
    size: tuple[int, int] | None = None
    format: str | None = None

    def open(self) -> tuple[InputContainer, VideoStream]:
        """The container and the video stream that players show.

        Raises:
            SourceError: it cannot be opened, or there is no video in it.
            UnknownFormatError: FFmpeg does not recognise its format.
            ConfigError: FFmpeg does not support the protocol.
        """
        try:
            container = av.open(
                self.address,
                "r",
                format=self.format,
                # For the demuxer, and for the decoders that probe the first pictures.
                options={**self.options, "max_pixels": str(self.max_pixels)},
                timeout=self.timeouts_s,
                metadata_errors="replace",  # titles come in any encoding, and are not used
            )
        except av.error.ProtocolNotFoundError:
            scheme = str(self.address).partition("://")[0]
            raise ConfigError("--source", self.name, f"FFmpeg knows no protocol {scheme!r}") from None
        except av.FFmpegError as error:
            if _DASH.search(str(self.address)) and not _reads("dash"):
                advice = "this FFmpeg cannot read DASH: give the stream's HLS address (.m3u8)"
                raise ConfigError("--source", self.name, advice) from None
            # Input/output error: an answer of HTTP/1.0 without a length ended.
            unknown = isinstance(error, av.error.InvalidDataError) or error.errno == errno.EIO
            kind = UnknownFormatError if unknown else SourceError
            raise kind(f"{self.name}: {failure_reason(error)}") from None
        try:
            return container, self._video(container)
        except SourceError:
            container.close()
            raise

    def close(self) -> None:
        """Close what FFmpeg reads instead of an address."""
        if not isinstance(self.address, str):
            self.address.close()

    def _video(self, container: InputContainer) -> VideoStream:
        # The picture on an audio file's cover is a video stream too, of one frame.
        cover = av.stream.Disposition.attached_pic
        streams = [s for s in container.streams.video if s.codec_context and not s.disposition & cover]
        if not streams:
            raise SourceError(f"{self.name}: there is no video in it that FFmpeg can decode")
        stream = next((s for s in streams if s.disposition & av.stream.Disposition.default), streams[0])
        if len(streams) > 1 and not SEGMENTED.isdisjoint(container.format.name.split(",")):
            stream = best_variant(streams, self.size, self.max_pixels)
            for other in container.streams:
                if other is not stream:
                    other.discard = Discard.all  # its segments are not fetched
        pixels = stream.width * stream.height
        if pixels > self.max_pixels:
            raise SourceError(
                f"{self.name}: it is {stream.width}x{stream.height}: allowed is up to {self.max_pixels} "
                "pixels, --max-pixels allows more"
            )
        stream.codec_context.options = {"max_pixels": str(self.max_pixels)}
        if self.timeouts_s is None and pixels > _PIXELS_PER_THREAD:
            stream.codec_context.thread_type = ThreadType.AUTO
        else:
            stream.codec_context.thread_count = 1
        return stream


def _reads(demuxer: str) -> bool:
    """Whether FFmpeg was built with it."""
    try:
        return av.ContainerFormat(demuxer, "r").is_input
    except ValueError:
        return False


def best_variant(
    streams: Sequence[VideoStream], size: tuple[int, int] | None, max_pixels: int
) -> VideoStream:
    """The smallest variant that has the size, else the largest within the limit; of several the best."""

    def pixels(stream: VideoStream) -> int:
        return stream.width * stream.height

    def bit_rate(stream: VideoStream) -> int:
        return int(stream.metadata.get("variant_bitrate", 0))

    fitting = [stream for stream in streams if 0 < pixels(stream) <= max_pixels] or streams
    if size is not None:
        enough = [s for s in fitting if s.width >= size[0] and s.height >= size[1]]
        if enough:
            return min(enough, key=lambda stream: (pixels(stream), -bit_rate(stream)))
    return max(fitting, key=lambda stream: (pixels(stream), bit_rate(stream)))


def nominal_fps(stream: VideoStream) -> float:
    """Pictures per second, as the video declares it."""
    # The codec's own rate first: from few packets FFmpeg guesses 50 for 25 fps H.264 in MPEG-TS.
    for rate in (stream.codec_context.framerate, stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= _HIGHEST_RATE:
            return max(float(rate), MIN_FPS)
    return FALLBACK_FPS


def failure_reason(error: av.FFmpegError) -> str:
    """The error as text; without the address, which may contain a password."""
    if isinstance(error, av.error.ExitError):
        return "no data came in time"
    if isinstance(error, av.error.InvalidDataError):
        return "not a video, or damaged: FFmpeg cannot read it"
    return reason(error)
