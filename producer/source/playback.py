"""Decodes a video file or stream, and delays each picture until it is due."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import SourceError
from fanlight.common.model.reasons import reason
from fanlight.producer.source.base import Captured
from fanlight.producer.source.catch_up import CatchUp
from fanlight.producer.source.display import DisplayFilter
from fanlight.producer.source.pacing import Clock, MediaClock, Pacer, interval_ns
from fanlight.producer.source.video_input import FALLBACK_FPS, VideoInput, failure_reason, nominal_fps
from fanlight.producer.stats import Drop, Drops

_log = logging.getLogger(__name__)

# Formats that deliver segments of several seconds at once: paced, although live.
_SEGMENTED = frozenset({"hls", "dash"})


class Playback:
    """Plays one file or stream. Not thread-safe.

    Args:
        drops: counts the pictures that are not returned.
        fps: play at this rate instead of the video's own; ignored for an endless stream.
        loop: start over at the end, without a gap; likewise.

    Attributes:
        endless: True without a known duration; valid after `open`.
        native_fps: the rate of the video; likewise.
    """

    def __init__(
        self,
        video: VideoInput,
        drops: Drops,
        *,
        fps: float | None = None,
        loop: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.endless = False
        self.native_fps = FALLBACK_FPS
        self._input = video
        self._drops = drops
        self._fps = fps
        self._loop = loop
        self._clock = clock or Clock()
        self._log = LimitedLog(_log)
        self._pacer: Pacer | None = None  # None where the network paces the stream
        self._arrived_ns = 0
        self._container: InputContainer | None = None
        self._display = DisplayFilter(video.name)
        self._frames: Iterator[tuple[av.VideoFrame, int]] = iter(())

    @property
    def fps(self) -> float:
        """Pictures per second as they are returned; `native_fps` unless another rate was requested."""
        return self.native_fps if self._fps is None or self.endless else self._fps

    def open(self) -> None:
        """Open the input and find its video stream.

        Raises:
            SourceError: it cannot be opened, or there is no video in it.
            ConfigError: FFmpeg does not support the protocol.
        """
        container, stream = self._open_input()
        self.endless = self._input.timeouts_s is not None and (container.duration or 0) <= 0
        paced = not self.endless or not _SEGMENTED.isdisjoint(container.format.name.split(","))
        self._pacer = Pacer(self._clock) if paced else None
        self.native_fps = nominal_fps(stream)
        self._display = DisplayFilter(
            self._input.name,
            deinterlace=self._input.deinterlace,
            size=self._input.size,
            max_pixels=self._input.max_pixels,
        )
        self._frames = self._decode(container, stream)

    def grab(self, stop: threading.Event) -> Captured | None:
        """Wait until the next picture is due; None at the end, or soon after `stop` is set.

        Raises:
            SourceError: nothing in it can be decoded, the connection failed, or no data came in time.
        """
        for frame, media_ns in self._frames:
            capture_ns = self._pacer.wait(media_ns, stop) if self._pacer else self._arrived_ns
            return None if capture_ns is None else Captured(frame, capture_ns)
        return None

    def close(self) -> None:
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open_input(self) -> tuple[InputContainer, VideoStream]:
        self._container, stream = self._input.open()
        return self._container, stream

    def _decode(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[av.VideoFrame, int]]:
        """The pictures, each with its media time."""
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
                yield frame, clock.place(pts_ns)
            if first is None:
                raise SourceError(f"{self._input.name}: nothing in it can be decoded")
            if self.endless or not self._loop:
                return
            container, stream, frames = self._start_over(container, stream, first.pts)

    def _start_over(
        self, container: InputContainer, stream: VideoStream, first_pts: int | None
    ) -> tuple[InputContainer, VideoStream, Iterator[av.VideoFrame]]:
        # Seeking takes 20 ms to the first picture, reopening 50 ms, which may be too late. But raw streams
        # cannot seek, and others do not always seek to their first picture.
        with contextlib.suppress(av.FFmpegError):
            container.seek(stream.start_time or 0, stream=stream)
            frames = self._decode_once(container, stream)
            first = next(frames, None)
            if first is not None and first_pts is not None and first.pts == first_pts:
                return container, stream, itertools.chain([first], frames)
        container.close()
        container, stream = self._open_input()
        return container, stream, self._decode_once(container, stream)

    def _decode_once(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        self._display.aspect = stream.sample_aspect_ratio  # the container's goes before the codec's
        coded_aspect = stream.codec_context.sample_aspect_ratio
        try:
            for packet in self._packets(container, stream):
                try:
                    decoded = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
                    if stream.codec_context.sample_aspect_ratio != coded_aspect:
                        self._display.aspect = stream.codec_context.sample_aspect_ratio
                    frames = [shown for frame in decoded for shown in self._display.show(frame)]
                except av.error.EOFError:
                    break
                except av.FFmpegError as error:
                    self._drops[Drop.UNREADABLE] += 1
                    name, now_ns = self._input.name, self._clock.monotonic_ns()
                    self._log.warn(now_ns, "%s: undecodable packet skipped: %s", name, reason(error))
                    continue
                yield from frames
            yield from self._display.flush()
        except av.FFmpegError as error:
            if self._input.timeouts_s is not None:
                timed_out = isinstance(error, av.error.ExitError)
                why = failure_reason(error) if timed_out else f"the stream broke off ({reason(error)})"
                raise SourceError(f"{self._input.name}: {why}") from None
            # A damaged file: what could be read has been played.
            _log.warning("%s: cannot be read to its end: %s", self._input.name, reason(error))

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
            if self._pacer is None and catch_up.skips(
                requested_ns=requested_ns, arrived_ns=arrived_ns, key=packet.is_keyframe
            ):
                self._drops[Drop.SKIPPED] += 1
            else:
                yield packet
