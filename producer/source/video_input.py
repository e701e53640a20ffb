"""Opens a video file or stream with FFmpeg, within limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.stream import VideoStream

from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.reasons import reason
from fanlight.producer.settings import Deinterlace

FALLBACK_FPS = 30.0
# Above this a "rate" is the container's clock (90,000 in MPEG-TS, 1,000 in Matroska), not the video's.
_HIGHEST_RATE = 240
# Beyond full HD one thread may not keep up; below it, more threads only add latency and memory.
_PIXELS_PER_THREAD = 1920 * 1088


@dataclass(frozen=True, slots=True)
class VideoInput:
    """A file or URL.

    Attributes:
        address: as FFmpeg takes it.
        name: for messages; without a password.
        options: FFmpeg's, for the demuxer.
        timeouts_s: for opening and for reading; None (for a file) for no limit.
        max_pixels: limit for a picture; FFmpeg refuses a larger one before it allocates memory.
        deinterlace: which pictures to deinterlace.
        size: (width, height) to which pictures will be scaled; None if they are not.
    """

    address: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    timeouts_s: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS
    deinterlace: Deinterlace = Deinterlace.AUTO
    size: tuple[int, int] | None = None

    def open(self) -> tuple[InputContainer, VideoStream]:
        """The container and its first video stream.

        Raises:
            SourceError: it cannot be opened, or there is no video in it.
            ConfigError: FFmpeg does not support the protocol.
        """
        try:
            container = av.open(
                self.address,
                "r",
                # For the demuxer, and for the decoders that probe the first pictures.
                options={**self.options, "max_pixels": str(self.max_pixels)},
                timeout=self.timeouts_s,
                metadata_errors="replace",  # titles come in any encoding, and are not used
            )
        except av.error.ProtocolNotFoundError:
            scheme = self.address.partition("://")[0]
            raise ConfigError("--source", self.name, f"FFmpeg knows no protocol {scheme!r}") from None
        except av.FFmpegError as error:
            raise SourceError(f"{self.name}: {failure_reason(error)}") from None
        try:
            return container, self._first_video(container)
        except SourceError:
            container.close()
            raise

    def _first_video(self, container: InputContainer) -> VideoStream:
        # The picture on an audio file's cover is a video stream too, of one frame.
        cover = av.stream.Disposition.attached_pic
        streams = [s for s in container.streams.video if s.codec_context and not s.disposition & cover]
        if not streams:
            raise SourceError(f"{self.name}: there is no video in it that FFmpeg can decode")
        stream = streams[0]
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


def nominal_fps(stream: VideoStream) -> float:
    """Pictures per second, as the video declares it."""
    # The codec's own rate first: from few packets FFmpeg guesses 50 for 25 fps H.264 in MPEG-TS.
    for rate in (stream.codec_context.framerate, stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= _HIGHEST_RATE:
            return float(rate)
    return FALLBACK_FPS


def failure_reason(error: av.FFmpegError) -> str:
    """The error as text; without the address, which may contain a password."""
    if isinstance(error, av.error.ExitError):
        return "no data came in time"
    if isinstance(error, av.error.InvalidDataError):
        return "not a video, or damaged: FFmpeg cannot read it"
    return reason(error)
