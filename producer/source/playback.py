"""Opens and decodes whatever FFmpeg reads, and delays each picture until it is due."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Iterator, Mapping

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.stream import VideoStream

from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.reasons import reason
from fanlight.producer.source.base import Captured
from fanlight.producer.source.catch_up import CatchUp
from fanlight.producer.source.pacing import Clock, MediaClock, Pacer, interval_ns
from fanlight.producer.stats import Drop, Drops

_log = logging.getLogger(__name__)

FALLBACK_FPS = 30.0
# Above this a "rate" is the container's clock (90,000 in MPEG-TS, 1,000 in Matroska), not the video's.
_HIGHEST_RATE = 240
# Beyond full HD one thread may not keep up; below it, more threads only add latency and memory.
_PIXELS_PER_THREAD = 1920 * 1088
# These deliver whole segments of several seconds at once, so they are paced although they are live.
_SEGMENTED = frozenset({"hls", "dash"})


class Playback:
    """Decodes one file or stream. Not thread-safe; `grab` alone waits, and only on its `stop` event.

    Args:
        address: file or URL, as FFmpeg takes it.
        name: for messages; without a password.
        drops: pictures that are not returned are counted here.
        fps: play every picture at this rate instead of at its own; ignored where there is no end.
        loop: start over at the end, without a gap; only where there is an end.
        options: FFmpeg's, for the demuxer.
        timeouts_s: to open, and to wait for data; None to wait for ever.
        max_pixels: of a picture; FFmpeg refuses a larger one before it allocates memory for it.
        clock: the time.
    """

    def __init__(
        self,
        address: str,
        name: str,
        drops: Drops,
        *,
        fps: float | None = None,
        loop: bool = False,
        options: Mapping[str, str] | None = None,
        timeouts_s: tuple[float, float] | None = None,
        max_pixels: int = MAX_PIXELS,
        clock: Clock | None = None,
    ) -> None:
        self.endless = False
        self.native_fps = FALLBACK_FPS
        self._drops = drops
        self._address = address
        self._name = name
        self._fps = fps
        self._loop = loop
        self._options = dict(options or {})
        self._timeouts_s = timeouts_s
        self._max_pixels = max_pixels
        self._clock = clock or Clock()
        self._paced = True
        self._arrived_ns = 0
        self._media_ns = 0
        self._log = LimitedLog(_log)
        self._pacer = Pacer(self._clock)
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())

    @property
    def fps(self) -> float:
        """Pictures per second as they are returned; `native_fps` unless another rate was asked for."""
        return self.native_fps if self._fps is None or self.endless else self._fps

    def open(self) -> None:
        """Open, and find the video.

        Raises:
            SourceError: it cannot be opened, or there is no video in it.
            ConfigError: FFmpeg does not know the protocol.
        """
        container, stream = self._open_container()
        self.endless = self._timeouts_s is not None and (container.duration or 0) <= 0
        self._paced = not self.endless or not _SEGMENTED.isdisjoint(container.format.name.split(","))
        self.native_fps = _nominal_fps(stream)
        self._pacer = Pacer(self._clock)
        self._frames = self._decode(container, stream)

    def grab(self, stop: threading.Event) -> Captured | None:
        """The next picture, when it is due; None at the end, or soon after `stop`.

        Raises:
            SourceError: nothing in it can be decoded, the connection failed, or no data came in time.
        """
        frame = next(self._frames, None)
        if frame is None:
            return None
        if not self._paced:
            return Captured(frame, self._arrived_ns)
        capture_ns = self._pacer.wait(self._media_ns, stop)
        return None if capture_ns is None else Captured(frame, capture_ns)

    def close(self) -> None:
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open_container(self) -> tuple[InputContainer, VideoStream]:
        try:
            container = av.open(
                self._address,
                "r",
                # For the demuxer, and for the decoders that look at the first pictures.
                options={**self._options, "max_pixels": str(self._max_pixels)},
                timeout=self._timeouts_s,
                metadata_errors="replace",  # titles come in any encoding, and we do not read them
            )
        except av.error.ProtocolNotFoundError:
            scheme = self._address.partition("://")[0]
            raise ConfigError("--source", self._name, f"FFmpeg knows no protocol {scheme!r}") from None
        except av.FFmpegError as error:
            raise SourceError(f"{self._name}: {_failure(error)}") from None
        self._container = container
        # The picture on an audio file's cover is a video stream too, of one frame.
        streams = [s for s in container.streams.video if s.codec_context and not _is_cover(s)]
        if not streams:
            self.close()
            raise SourceError(f"{self._name}: there is no video in it that FFmpeg can decode")
        stream = streams[0]
        if stream.width * stream.height > self._max_pixels:
            self.close()
            size = f"{stream.width}x{stream.height}"
            raise SourceError(f"{self._name}: it is {size}: allowed is up to {self._max_pixels} pixels")
        stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        if self._timeouts_s is None and stream.width * stream.height > _PIXELS_PER_THREAD:
            stream.codec_context.thread_type = ThreadType.AUTO
        else:
            stream.codec_context.thread_count = 1
        return container, stream

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        clock = MediaClock(interval_ns(self.fps))
        own_rate = self._fps is None or self.endless
        frames = self._decode_once(container, stream)
        while True:
            first: av.VideoFrame | None = None
            for frame in frames:
                first = first or frame
                pts_ns = None
                if own_rate and frame.pts is not None and frame.time_base is not None:
                    pts_ns = int(frame.pts * frame.time_base * 1_000_000_000)
                self._media_ns = clock.place(pts_ns)
                yield frame
            if first is None:
                raise SourceError(f"{self._name}: nothing in it can be decoded")
            if self.endless or not self._loop:
                return
            container, stream, frames = self._start_over(container, stream, first.pts)

    def _start_over(
        self, container: InputContainer, stream: VideoStream, first_pts: int | None
    ) -> tuple[InputContainer, VideoStream, Iterator[av.VideoFrame]]:
        # Seeking is quicker than opening anew (20 ms to the first picture instead of 50), so that it is
        # still in time; but raw streams do not seek, and others not always to their first picture.
        with contextlib.suppress(av.FFmpegError):
            container.seek(stream.start_time or 0, stream=stream)
            frames = self._decode_once(container, stream)
            first = next(frames, None)
            if first is not None and first_pts is not None and first.pts == first_pts:
                return container, stream, itertools.chain([first], frames)
        container.close()
        container, stream = self._open_container()
        return container, stream, self._decode_once(container, stream)

    def _decode_once(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        try:
            for packet in self._packets(container, stream):
                try:
                    frames = packet.decode()
                except av.error.EOFError:
                    return
                except av.FFmpegError as error:
                    self._drops[Drop.UNREADABLE] += 1
                    self._log.warn(
                        self._clock.monotonic_ns(),
                        "%s: undecodable packet skipped: %s",
                        self._name,
                        reason(error),
                    )
                    continue
                yield from (frame for frame in frames if isinstance(frame, av.VideoFrame))
        except av.FFmpegError as error:
            if self._timeouts_s is not None:
                timed_out = isinstance(error, av.error.ExitError)
                why = _failure(error) if timed_out else f"the stream broke off ({reason(error)})"
                raise SourceError(f"{self._name}: {why}") from None
            # A damaged file: what could be read has been played.
            _log.warning("%s: cannot be read to its end: %s", self._name, reason(error))

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
        """The packets to decode, as they arrive."""
        catch_up = CatchUp(interval_ns(self.native_fps), intra_only=stream.codec_context.codec.intra_only)
        packets = container.demux(stream)
        while True:
            requested_ns = self._clock.monotonic_ns()
            packet = next(packets, None)
            if packet is None:
                return
            self._arrived_ns = self._clock.wall_ns()
            arrived_ns = self._clock.monotonic_ns()
            if not self._paced and catch_up.skips(
                requested_ns=requested_ns, arrived_ns=arrived_ns, key=packet.is_keyframe
            ):
                self._drops[Drop.SKIPPED] += 1
            else:
                yield packet


def _nominal_fps(stream: VideoStream) -> float:
    # The codec's own rate first: from few packets FFmpeg guesses 50 for 25 fps H.264 in MPEG-TS.
    for rate in (stream.codec_context.framerate, stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= _HIGHEST_RATE:
            return float(rate)
    return FALLBACK_FPS


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _failure(error: av.FFmpegError) -> str:
    """An error in words; never with the address, for it may contain a password."""
    if isinstance(error, av.error.ExitError):
        return "no data came in time"
    if isinstance(error, av.error.InvalidDataError):
        return "not a video, or damaged: FFmpeg cannot read it"
    return reason(error)
