"""Video files, and URLs that FFmpeg opens."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fanlight.common.model.errors import SourceError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.redact import url_without_secrets
from fanlight.producer.settings import Deinterlace
from fanlight.producer.source.base import Captured
from fanlight.producer.source.live_feed import LiveFeed, NoAnswerError
from fanlight.producer.source.playback import Playback
from fanlight.producer.source.video_input import FALLBACK_FPS, UnknownFormatError, VideoInput
from fanlight.producer.stats import Drops

_LOG = logging.getLogger(__name__)

# Enough to find the streams of a 40 Mbit/s feed without reading a second of it. No pictures are read for
# the rate: the next one of a slow camera comes in a minute. An MPEG-TS feed opens in 0.1 s this way, in
# 0.8 s by default.
# No `nobuffer`: it discards what was read while probing, and with it the keyframe, so that the first
# picture comes a whole GOP later (measured: 5.3 s instead of 0.07 s). No `low_delay`: it gains nothing
# with H.264 and shuffles MPEG-2 with B-frames.
LIVE_OPTIONS = {"probesize": "1000000", "analyzeduration": "1000000", "fpsprobesize": "0"}
OPEN_S = 5.0


class FileSource:
    """A video file, at its own rate or at `fps`, once or in a loop.

    Pictures stay in the decoder's format (usually YUV 4:2:0).

    Args:
        size: see `VideoInput`.
    """

    live = False
    wait_s = 0.0

    def __init__(
        self,
        path: Path | str,
        *,
        loop: bool = False,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        max_pixels: int = MAX_PIXELS,
        deinterlace: Deinterlace = Deinterlace.AUTO,
    ) -> None:
        self.drops = Drops()
        self._path = Path(path)
        # Without `file:` FFmpeg would take the part of a name before a colon for a protocol.
        video = VideoInput(
            f"file:{self._path}", str(self), max_pixels=max_pixels, size=size, deinterlace=deinterlace
        )
        self._playback = Playback(video, self.drops, fps=fps, loop=loop)
        self._interrupted = threading.Event()

    @property
    def fps(self) -> float:
        return self._playback.fps

    def open(self) -> None:
        """Open the file.

        Raises:
            SourceError: it is missing, no regular file, unreadable, or has no video stream.
        """
        if not self._path.exists():
            raise SourceError(f"{self}: there is no such file; check the path given to --source")
        if not self._path.is_file():
            raise SourceError(f"{self}: this is not a regular file")
        self._playback.open()

    def read(self) -> Captured | None:
        return None if self._interrupted.is_set() else self._playback.grab(self._interrupted)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self._playback.close()

    def __str__(self) -> str:
        return str(self._path)


class UrlSource:
    """A URL, or another input that FFmpeg reads as it comes.

    Without a known duration or size it is live: only the newest picture is kept, and an end is a failure.
    A recording (a file on a web server) plays like a file. A still picture is asked for at `fps`.

    Args:
        fps: upper limit for a live stream; else as in `FileSource`.
        size: (width, height) to which pictures will be scaled; of several variants, one is chosen by it.
        open_s: how long to wait for an answer.
        stall_s: how long to wait for a picture, and for an answer if longer; None for `StallLimit`'s.
        show: whether messages have the whole URL, instead of one without what may be a secret.
    """

    def __init__(
        self,
        url: str,
        *,
        loop: bool = False,
        fps: float | None = None,
        open_s: float = OPEN_S,
        stall_s: float | None = None,
        size: tuple[int, int] | None = None,
        max_pixels: int = MAX_PIXELS,
        show: bool = False,
        deinterlace: Deinterlace = Deinterlace.AUTO,
    ) -> None:
        self.live = True
        self.wait_s: float | None = None  # services of one host start in any order
        self.drops = Drops()
        self._url = url
        self._format: str | None = None
        self._shown = url if show else url_without_secrets(url)
        self._wanted_fps = fps
        self._native_fps = FALLBACK_FPS
        self._open_s = max(open_s, stall_s or 0.0)
        self._video = VideoInput(
            url, str(self), self._options(), max_pixels=max_pixels, size=size, deinterlace=deinterlace
        )
        self._feed = LiveFeed(str(self), self.drops, open_s=self._open_s, stall_s=stall_s)
        self._playback = partial(Playback, drops=self.drops, fps=fps, loop=loop)
        self._told = False
        self._guess: str | None = None

    @property
    def fps(self) -> float:
        if self._wanted_fps is None:
            return self._native_fps
        return min(self._wanted_fps, self._native_fps) if self.live else self._wanted_fps

    def open(self) -> None:
        web = self._url.startswith("http")
        guess, self._guess = self._guess, None
        try:
            self._open_as(guess or self._format)
        except NoAnswerError:
            # FFmpeg waits for 2 kB before it tells the format: minutes of small pictures of a slow camera.
            self._guess = "mpjpeg" if web and guess is None else None
            raise
        except UnknownFormatError as error:
            if not web:
                raise
            try:
                self._open_as("image2pipe")  # FFmpeg does not recognise a picture of unknown length
            except SourceError:
                raise error from None
        else:
            self._guess = guess

    def _open_as(self, video_format: str | None) -> None:
        """Open it with the demuxer of this name; None for the one that FFmpeg finds."""
        playback = self._playback(replace(self._input(), format=video_format))
        if not self._feed.open(playback):
            return
        self.live, self._native_fps = playback.endless, playback.native_fps
        self._feed.stall.fps = self.fps
        self._feed.limit(self._wanted_fps if self.live else None)
        if playback.still and not self._told:
            self._told = True
            _LOG.info("%s is a still picture: asked for at %g fps (--fps)", self, self.fps)

    def read(self) -> Captured | None:
        captured = self._feed.read()
        if captured is None and self.live and not self._feed.interrupted.is_set():
            raise SourceError(f"{self}: the stream ended")
        return captured

    def interrupt(self) -> None:
        self._feed.interrupt()

    def close(self) -> None:
        self._feed.close()

    def __str__(self) -> str:
        return self._shown

    def _options(self) -> dict[str, str]:
        # Over UDP, lost packets would smear the picture.
        rtsp = {"rtsp_flags": "prefer_tcp"} if self._url.lower().startswith("rtsp") else {}
        return LIVE_OPTIONS | rtsp

    def _input(self) -> VideoInput:
        # Longer than the feed's: FFmpeg's limits only end a reader thread that the feed has abandoned.
        timeouts_s = (self._open_s + 1, self._feed.stall.seconds + 1)
        return replace(self._video, timeouts_s=timeouts_s)


class SdpSource(UrlSource):
    """A session description (SDP) on disk: RTP over UDP, without a server to ask.

    FFmpeg opens nothing but this file and what it describes: no other file, no other protocol.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(f"file:{path}", **options)
        self._format = "sdp"

    def _options(self) -> dict[str, str]:
        return LIVE_OPTIONS | {"protocol_whitelist": "file,rtp,udp"}

    def __str__(self) -> str:
        return self._url.removeprefix("file:")
