"""Video files, and URLs that FFmpeg opens."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import SourceError
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.producer.source.background import Background
from fanlight.producer.source.base import Captured
from fanlight.producer.source.pacing import Thinner
from fanlight.producer.source.playback import FALLBACK_FPS, Playback
from fanlight.producer.stats import Drop, Drops

# Enough to find the streams of a 40 Mbit/s feed, but not to wait for a second of it: two pictures
# suffice to learn the rate. Opening an MPEG-TS feed takes 0.1 s so, 0.8 s by default.
# No `nobuffer`: it throws away what was read while probing, and with it the keyframe, so that the first
# picture comes a whole GOP later (measured: 5.3 s instead of 0.07 s). No `low_delay`: it gains nothing
# with H.264 and shuffles MPEG-2 with B-frames.
_LIVE_OPTIONS = {"probesize": "1000000", "analyzeduration": "1000000", "fpsprobesize": "2"}
_OPEN_S = 5.0
_STALL_S = 3.0

_SECRETS = re.compile(r"(?i)(\b(?:pass\w*|pwd|pw|\w*token|\w*key|secret|auth|sig\w*)=)[^&;/#\s]+")


class FileSource:
    """A video file, at its own rate or at `fps`, once or in a loop.

    Pictures are handed on as they were decoded (usually YUV 4:2:0), without a detour over BGR.
    """

    live = False

    def __init__(
        self,
        path: Path | str,
        *,
        loop: bool = False,
        fps: float | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.drops = Drops()
        self._path = Path(path)
        # Without `file:` FFmpeg would take the part of a name before a colon for a protocol.
        self._playback = Playback(
            f"file:{self._path}", str(self), self.drops, fps=fps, loop=loop, max_pixels=max_pixels
        )
        self._interrupted = threading.Event()

    @property
    def fps(self) -> float:
        return self._playback.fps

    def open(self) -> None:
        """Open the file.

        Raises:
            SourceError: missing, a folder, unreadable, not a video, or without a video stream.
        """
        if not self._path.exists():
            raise SourceError(f"{self}: there is no such file; check the path given to --source")
        if self._path.is_dir():
            raise SourceError(f"{self}: this is a folder, not a video file")
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
    """A URL. One without a known duration is live: its newest picture counts, and its end is a failure.

    One with a duration (a file on a web server) plays like a file.

    Args:
        fps: of a live stream, at most so many pictures a second are handed on; else as in `FileSource`.
        open_s: how long to wait for an answer.
        stall_s: how long a picture may stay away.
    """

    def __init__(
        self,
        url: str,
        *,
        loop: bool = False,
        fps: float | None = None,
        open_s: float = _OPEN_S,
        stall_s: float = _STALL_S,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.live = True
        self.drops = Drops()
        self._url = url
        self._loop = loop
        self._wanted_fps = fps
        self._open_s = open_s
        self._stall_s = stall_s
        self._max_pixels = max_pixels
        self._native_fps = FALLBACK_FPS
        self._thinner: Thinner | None = None
        self._feed: Background | None = None
        self._interrupted = threading.Event()

    @property
    def fps(self) -> float:
        if self._wanted_fps is None:
            return self._native_fps
        return min(self._wanted_fps, self._native_fps) if self.live else self._wanted_fps

    def open(self) -> None:
        self.close()
        playback = self._playback()
        self._feed = Background(playback, str(self), self.drops)
        if self._interrupted.is_set():
            return
        self._feed.open(self._open_s)
        self.live, self._native_fps = playback.endless, playback.native_fps
        self._thinner = Thinner(self._wanted_fps) if self._wanted_fps and self.live else None

    def read(self) -> Captured | None:
        while not self._interrupted.is_set() and self._feed is not None:
            captured = self._feed.take(self._stall_s)
            if captured is None:
                if self.live and not self._interrupted.is_set():
                    raise SourceError(f"{self}: the stream ended")
                return None
            if self._thinner is None or self._thinner.admits(monotonic_ns()):
                return captured
            self.drops[Drop.LIMITED] += 1
        return None

    def interrupt(self) -> None:
        self._interrupted.set()
        feed = self._feed
        if feed is not None:
            feed.interrupt()

    def close(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def __str__(self) -> str:
        return without_secrets(self._url)

    def _playback(self) -> Playback:
        options = dict(_LIVE_OPTIONS)
        if self._url.lower().startswith("rtsp"):
            options["rtsp_flags"] = "prefer_tcp"  # over UDP, lost packets would smear the picture
        return Playback(
            self._url,
            str(self),
            self.drops,
            fps=self._wanted_fps,
            loop=self._loop,
            options=options,
            max_pixels=self._max_pixels,
            # FFmpeg's own limits only make sure that a thread which was left behind ends.
            timeouts_s=(self._open_s + 1, self._stall_s + 1),
        )


def without_secrets(url: str) -> str:
    """The URL with passwords, tokens and keys replaced by `***`."""
    scheme, separator, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not re.fullmatch(r"[^:@]*(:\d*)?|\[[^@]*\](:\d*)?", authority):
        # Up to the last @, for a password may hold unescaped ones: rather hide too much.
        user, colon, _ = rest.rpartition("@")[0].partition(":")
        rest = f"{user}:***@{rest.rpartition('@')[2]}" if colon else rest
    return _SECRETS.sub(r"\1***", f"{scheme}{separator}{rest}")
