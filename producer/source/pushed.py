"""Images that a program hands in."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from common.clock import wall_ns
from common.codec.picture import as_bgr
from producer.source.base import Captured


class PushedSource:
    """Hands on what `push` was given. The newest image counts; `skipped` says how many it replaced.

    `push`, `end` and `interrupt` may be called by any thread.

    Args:
        fps: nominal rate; images are handed on as they come.
    """

    live = False

    def __init__(self, fps: float = 30.0) -> None:
        self.fps = fps
        self.skipped = 0
        self._changed = threading.Condition()
        self._newest: Captured | None = None
        self._ended = False
        self._interrupted = False

    def push(self, image: npt.NDArray[np.generic], capture_ns: int | None = None) -> None:
        """Hand in one image; never blocks. It is copied, so the caller may draw into it again.

        Args:
            image: uint8, (height, width, 3) BGR; also (height, width, 4) BGRA and (height, width) grey.
            capture_ns: wall time in nanoseconds at which it was taken; now if left out.

        Raises:
            EncodeError: any other shape or type.
        """
        if capture_ns is None:
            capture_ns = wall_ns()
        picture = as_bgr(image)
        if np.may_share_memory(picture, image):
            picture = picture.copy()
        with self._changed:
            self.skipped += self._newest is not None
            self._newest = Captured(picture, capture_ns)
            self._changed.notify_all()

    def end(self) -> None:
        """There will be no more images: `read` returns None after the last one."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def open(self) -> None:
        pass

    def read(self) -> Captured | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended or self._interrupted)
            if self._interrupted:
                return None
            captured, self._newest = self._newest, None
            return captured

    def interrupt(self) -> None:
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        pass

    def __str__(self) -> str:
        return "images from the program"
