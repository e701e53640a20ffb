"""Encoded frames between the receiving thread and one that writes them."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from fanlight.common.model.frame import EncodedFrame

_MAX_FRAMES: Final = 256
_MAX_BYTES: Final = 64 * 1024 * 1024


class FrameQueue:
    """Frames that wait to be written. When it is full, all frames until the next keyframe are left out.

    Thread-safe.

    Attributes:
        left_out: number of frames left out because the queue was full.
    """

    def __init__(self, max_frames: int = _MAX_FRAMES, max_bytes: int = _MAX_BYTES) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._frames: deque[tuple[EncodedFrame, int]] = deque()
        self._bytes = 0
        self._epoch: int | None = None
        self._awaiting_key = True
        self._overflowed = False
        self._closed = False
        self.left_out = 0

    def put(self, frame: EncodedFrame, arrival_ns: int) -> None:
        """Queue a frame, if there is room and it is decodable after the previous ones. Never waits."""
        header, size_bytes = frame.header, len(frame.body)
        with self._changed:
            if self._closed:
                return
            if header.epoch != self._epoch:
                self._epoch = header.epoch
                self._awaiting_key = True
            if self._awaiting_key and not header.key:
                self.left_out += self._overflowed
                return
            self._awaiting_key = self._overflowed = self._full(size_bytes)
            if self._overflowed:
                self.left_out += 1
                return
            self._frames.append((frame, arrival_ns))
            self._bytes += size_bytes
            self._changed.notify()

    def take(self) -> tuple[EncodedFrame, int] | None:
        """Wait for a frame; None once the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._frames)
            if not self._frames:
                return None
            frame, arrival_ns = self._frames.popleft()
            self._bytes -= len(frame.body)
            return frame, arrival_ns

    def close(self) -> None:
        """Accept no more frames."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _full(self, size_bytes: int) -> bool:
        if not self._frames:
            return False
        return len(self._frames) >= self._max_frames or self._bytes + size_bytes > self._max_bytes
