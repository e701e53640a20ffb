"""Decodes a video file or stream, and delays each picture until it is due."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import re
import threading
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import SourceError
from fanlight.common.model.reasons import reason
from fanlight.producer.source.base import Captured
from fanlight.producer.source.catch_up import CatchUp
from fanlight.producer.source.display import DisplayFilter
from fanlight.producer.source.pacing import Clock, MediaClock, Pacer, TimestampChoice, interval_ns
from fanlight.producer.source.video_input import (
    FALLBACK_FPS,
    SEGMENTED,
    VideoInput,
    failure_reason,
    nominal_fps,
)
from fanlight.producer.stats import Drop, Drops

_log = logging.getLogger(__name__)

# The size is of a description, or made up.
_UNSIZED = SEGMENTED | {"sdp", "mpjpeg"}
# Demuxers of one picture.
_PICTURE = re.compile(r"image2(pipe)?|.*_pipe")
# Of a still picture, unless `fps` says otherwise.
_POLLS_PER_S = 1.0
_LEAP_NS = 10_000_000_000
_HOUR_NS = 3600 * 1_000_000_000


class Playback:
    """Plays one file or stream. Not thread-safe.

    Args:
        drops: counts the pictures that are not returned.
        fps: play at this rate instead of the video's own; ignored for an endless stream.
        loop: start over at the end, without a gap; likewise.

    Attributes:
        endless: True without a known duration or size; valid after `open`.
        native_fps: the rate of the video; likewise.
        still: True for the URL of one picture, which is asked for `fps` times a second; likewise.
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
        self.endless = self.still = False
        self.native_fps = FALLBACK_FPS
        self._input = video
        self._drops = drops
        self._fps = fps
        self._loop = loop
        self._clock = clock or Clock()
        self._log = LimitedLog(_log)
        self._polls = Pacer(self._clock)
        self._pacer: Pacer | None = None  # None where the network paces the stream
        self._stop = threading.Event()
        self._arrived_ns = 0
        self._container: InputContainer | None = None
        self._display = DisplayFilter(video.name)
        self._timestamps = TimestampChoice()
        self._frames: Iterator[tuple[av.VideoFrame, int]] = iter(())

    @property
    def fps(self) -> float:
        """Pictures per second as they are returned; `native_fps` unless another rate was requested."""
        return self.native_fps if self._fps is None or self.endless else self._fps

    @property
    def due_ns(self) -> int:
        """Monotonic time at which the picture is due that `grab` waits for, if it waits."""
        return (self._pacer or self._polls).due_ns

    def open(self) -> None:
        """Open the input and find its video stream.

        Raises:
            SourceError: it cannot be opened, or there is no video in it.
            ConfigError: FFmpeg does not support the protocol.
        """
        container, stream = self._open_input()
        formats = frozenset(container.format.name.split(","))
        segmented = not formats.isdisjoint(SEGMENTED)
        # What has a size is a recording, even where nothing in it says how long it is. A fragmented MP4
        # without one has the duration of what was probed.
        fragmented = "mp4" in formats and not stream.frames
        timed = (container.duration or 0) > 0 and not (fragmented and container.size <= 0)
        finite = timed or (container.size > 0 and formats.isdisjoint(_UNSIZED))
        local = self._input.timeouts_s is None
        by_name = not local and isinstance(self._input.address, str)
        self.still = by_name and any(map(_PICTURE.fullmatch, formats))
        self.endless = self.still or not (local or finite)
        # Segments arrive at once: paced, although live.
        self._pacer = Pacer(self._clock) if segmented or not self.endless else None
        self.native_fps = nominal_fps(stream)
        if self.still:
            self.native_fps = self._fps or _POLLS_PER_S
            self._polls.deadline_ns(0, self._clock.monotonic_ns())
        self._display = DisplayFilter(
            self._input.name,
            deinterlace=self._input.deinterlace,
            size=self._input.size,
            max_pixels=self._input.max_pixels,
        )
        self._timestamps = TimestampChoice()  # for all passes of a loop: the first one learns
        self._frames = self._decode(container, stream)

    def grab(self, stop: threading.Event) -> Captured | None:
        """Wait until the next picture is due; None at the end, or soon after `stop` is set.

        Raises:
            SourceError: nothing in it can be decoded, the connection failed, or no data came in time.
        """
        self._stop = stop
        for frame, media_ns in self._frames:
            capture_ns = self._pacer.wait(media_ns, stop) if self._pacer else self._arrived_ns
            return None if capture_ns is None else Captured(frame, capture_ns)
        return None

    def close(self) -> None:
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None
        self._input.close()

    def _open_input(self) -> tuple[InputContainer, VideoStream]:
        self._container, stream = self._input.open()
        return self._container, stream

    def _decode(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[av.VideoFrame, int]]:
        """The pictures, each with its media time."""
        clock = MediaClock(interval_ns(self.fps), longest_pause_ns(container, endless=self.endless))
        own_rate = self._fps is None or self.endless
        frames = self._decode_once(container, stream)
        for polls in itertools.count(1):
            first_pts: int | None = None
            last_ns: int | None = None
            count = 0
            # An encoder gives frames other times, while this waits: they are read before.
            for frame in frames:
                first_pts = frame.pts if count == 0 else first_pts
                last_ns = _ns(frame.duration, frame)
                count += 1
                yield frame, clock.place(_ns(frame.pts, frame) if own_rate else None)
            if count == 0:
                raise SourceError(f"{self._input.name}: nothing in it can be decoded")
            if self.still and count == 1:
                if self._polls.wait(polls * interval_ns(self.fps), self._stop) is None:
                    return
                container.close()
                container, stream = self._open_input()
                frames = self._decode_once(container, stream)
                continue
            if self.endless or not self._loop:
                return
            # A slide at the end, or the last picture of a GIF.
            clock.start_over(last_ns or 0 if own_rate else 0)
            container, stream, frames = self._start_over(container, stream, first_pts)

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
                    for frame in decoded:
                        frame.pts = self._timestamps.best(frame.pts, frame.dts)
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
            if error.errno == errno.EIO and container.size <= 0 and (self.still or not self.endless):
                return  # an answer without a length ended
            if self._input.timeouts_s is not None:
                timed_out = isinstance(error, av.error.ExitError)
                why = failure_reason(error) if timed_out else f"the stream broke off ({reason(error)})"
                if not (self._arrived_ns or self.endless or timed_out):
                    why += "; an MP4 without `-movflags +faststart` needs a server that supports ranges"
                raise SourceError(f"{self._input.name}: {why}") from None
            # A damaged file: what could be read has been played.
            _log.warning("%s: cannot be read to its end: %s", self._input.name, reason(error))

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
        """The packets to decode, as they arrive."""
        catch_up = CatchUp(
            interval_ns(nominal_fps(stream)), intra_only=stream.codec_context.codec.intra_only
        )
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


def longest_pause_ns(container: InputContainer, *, endless: bool) -> int:
    """The longest step of a timestamp that is a pause; a longer one is a leap."""
    if endless or not SEGMENTED.isdisjoint(container.format.name.split(",")):
        return _LEAP_NS  # an advertisement in between has times of its own
    # As in ffmpeg, but that broadcasts, which may be spliced, are believed for an hour.
    discontinuous = container.format.flags & Flags.ts_discont.value  # type: ignore[operator] # an int
    return _HOUR_NS if discontinuous else 30 * _HOUR_NS


def _ns(ticks: int | None, frame: av.VideoFrame) -> int | None:
    """A time or duration of a frame in nanoseconds."""
    if ticks is None or frame.time_base is None:
        return None
    return int(ticks * frame.time_base * 1_000_000_000)
