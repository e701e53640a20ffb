"""A camera of this machine, by OpenCV."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fanlight.common.clock import wall_ns
from fanlight.common.codec.picture import as_bgr
from fanlight.common.model.errors import SourceError
from fanlight.common.runtime.opencv import opencv_problem
from fanlight.producer.source.base import Captured
from fanlight.producer.source.live_feed import LiveFeed
from fanlight.producer.source.video_input import FALLBACK_FPS
from fanlight.producer.stats import Drops

if TYPE_CHECKING:
    import cv2

_OPEN_S = 10.0  # some USB cameras take seconds to start


class CameraSource:
    """A camera. Pictures are BGR arrays; only the newest one is kept.

    Args:
        device: index, or a path (`/dev/video2`; any video that OpenCV opens will do).
        fps: requested from the camera, and the upper limit if it delivers more.
        size: (width, height), requested from the camera, which may choose another one.
        open_s: how long to wait for it to open.
        stall_s: how long to wait for a picture, and for it to open if longer; None for `StallLimit`'s.
    """

    live = True
    wait_s = 0.0  # a wrong index is more frequent than a camera that is plugged in later

    def __init__(
        self,
        device: int | str,
        *,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        open_s: float = _OPEN_S,
        stall_s: float | None = None,
    ) -> None:
        self.fps = fps or FALLBACK_FPS
        self.drops = Drops()
        self._device = device
        self._wanted_fps = fps
        self._size = size
        self._feed = LiveFeed(str(self), self.drops, open_s=max(open_s, stall_s or 0.0), stall_s=stall_s)

    def open(self) -> None:
        grabber = OpenCvGrabber(self._device, str(self), self._wanted_fps, self._size)
        if self._feed.open(grabber):
            self.fps = min(self._wanted_fps or grabber.fps, grabber.fps)
            self._feed.stall.fps = self.fps
            self._feed.limit(self._wanted_fps)

    def read(self) -> Captured | None:
        return self._feed.read()

    def interrupt(self) -> None:
        self._feed.interrupt()

    def close(self) -> None:
        self._feed.close()

    def __str__(self) -> str:
        return f"camera {self._device}"


@dataclass
class OpenCvGrabber:
    """Reads the camera, on the feed's thread."""

    device: int | str
    name: str
    wanted_fps: float | None
    size: tuple[int, int] | None
    fps: float = FALLBACK_FPS
    due_ns: int = 0
    _capture: cv2.VideoCapture | None = None

    def open(self) -> None:
        # Silences the FFmpeg inside OpenCV, which reads this on first use.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        try:
            import cv2
        except ImportError as error:
            raise SourceError(f"{self.name}: cannot be opened; {opencv_problem(error)}") from None
        # OpenCV's own log repeats what the return values report. Versions 4 and 5 name this differently.
        set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_log_level(0)
        # A device by V4L2 only: the other backends add seconds and log lines.
        is_device = isinstance(self.device, int) or Path(self.device).is_char_device()
        v4l2 = is_device and sys.platform == "linux"
        capture = cv2.VideoCapture(self.device, cv2.CAP_V4L2 if v4l2 else cv2.CAP_ANY)
        if not capture.isOpened():
            capture.release()
            raise SourceError(f"{self.name}: cannot be opened; {advice(self.device)}")
        # A camera may ignore each of these. A buffer of one picture, because with a longer one every
        # picture is old.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if self.size is not None:
            # Before the size, which the camera else refuses: uncompressed, USB 2 carries 5 to 10 fps of it.
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.size[1])
        if self.wanted_fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self.wanted_fps)
        reported = capture.get(cv2.CAP_PROP_FPS)
        self.fps = reported if 1 <= reported <= 240 else FALLBACK_FPS
        self._capture = capture

    def grab(self, stop: threading.Event) -> Captured | None:
        if stop.is_set() or self._capture is None:
            return None
        grabbed = self._capture.grab()
        capture_ns = wall_ns()  # before the picture is unpacked: that takes milliseconds
        if grabbed:
            retrieved, image = self._capture.retrieve()
            if retrieved:
                return Captured(as_bgr(image), capture_ns)
        raise SourceError(f"{self.name}: it stopped delivering pictures")

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def advice(device: int | str, present: Sequence[str] | None = None) -> str:
    """What to try when a camera cannot be opened; `present` lists the device files that exist."""
    if sys.platform != "linux":
        return "is it attached, and not in use by another program?"
    if present is None:
        present = sorted(str(path) for path in Path("/dev").glob("video*"))
    if not present:
        return "this machine has no camera (no /dev/video*); --source test needs none"
    path = f"/dev/video{device}" if isinstance(device, int) else device
    if path in present or os.path.realpath(path) in present:
        return f"is {path} in use by another program, or its access not allowed?"
    return f"there are {', '.join(present)}"
