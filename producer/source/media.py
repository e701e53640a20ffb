"""Video files, and URLs that FFmpeg opens."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

from fanlight.common.model.errors import SourceError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.redact import url_without_secrets
from fanlight.producer.settings import Deinterlace
from fanlight.producer.source.base import Captured
from fanlight.producer.source.live_feed import LiveFeed
from fanlight.producer.source.playback import Playback
from fanlight.producer.source.video_input import FALLBACK_FPS, VideoInput
from fanlight.producer.stats import Drops

# Enough to find the streams of a 40 Mbit/s feed without reading a second of it: two pictures suffice
# for the rate. An MPEG-TS feed opens in 0.1 s this way, in 0.8 s by default.
# No `nobuffer`: it discards what was read while probing, and with it the keyframe, so that the first
# picture comes a whole GOP later (measured: 5.3 s instead of 0.07 s). No `low_delay`: it gains nothing
# with H.264 and shuffles MPEG-2 with B-frames.
_LIVE_OPTIONS = {"probesize": "1000000", "analyzeduration": "1000000", "fpsprobesize": "2"}
_OPEN_S = 5.0
_STALL_S = 3.0


class FileSource:
    """A video file, at its own rate or at `fps`, once or in a loop.

    Pictures stay in the decoder's format (usually YUV 4:2:0).

    Args:
        size: see `VideoInput`.
    """

    live = False

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
    """A URL. Without a known duration it is live: only the newest picture is kept; an end is a failure.

    With a duration (a file on a web server) it plays like a file.

    Args:
        fps: upper limit for a live stream; else as in `FileSource`.
        open_s: how long to wait for an answer.
        stall_s: how long to wait for a picture.
        show: whether messages have the whole URL, instead of one without what may be a secret.
    """

    def __init__(
        self,
        url: str,
        *,
        loop: bool = False,
        fps: float | None = None,
        open_s: float = _OPEN_S,
        stall_s: float = _STALL_S,
        size: tuple[int, int] | None = None,
        max_pixels: int = MAX_PIXELS,
        show: bool = False,
        deinterlace: Deinterlace = Deinterlace.AUTO,
    ) -> None:
        self.live = True
        self.drops = Drops()
        self._shown = url if show else url_without_secrets(url)
        self._wanted_fps = fps
        self._native_fps = FALLBACK_FPS
        self._feed = LiveFeed(str(self), self.drops, open_s=open_s, stall_s=stall_s)
        options = dict(_LIVE_OPTIONS)
        if url.lower().startswith("rtsp"):
            options["rtsp_flags"] = "prefer_tcp"  # over UDP, lost packets would smear the picture
        # Longer than the feed's: FFmpeg's limits only end a reader thread that the feed has abandoned.
        timeouts_s = (open_s + 1, stall_s + 1)
        video = VideoInput(url, str(self), options, timeouts_s, max_pixels, deinterlace, size)
        self._playback = partial(Playback, video, self.drops, fps=fps, loop=loop)

    @property
    def fps(self) -> float:
        if self._wanted_fps is None:
            return self._native_fps
        return min(self._wanted_fps, self._native_fps) if self.live else self._wanted_fps

    def open(self) -> None:
        playback = self._playback()
        if self._feed.open(playback):
            self.live, self._native_fps = playback.endless, playback.native_fps
            self._feed.limit(self._wanted_fps if self.live else None)

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
