"""`record:FILE`: the stream as it came, in an MP4 or Matroska file."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from pathlib import Path
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import SinkError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.sinks.files import Trouble, failed
from fanlight.consumer.sinks.recording import Recording

_log: Final = logging.getLogger(__name__)
_MAX_FRAMES: Final = 256
_MAX_BYTES: Final = 64 * 1024 * 1024
_CLOSE_TIMEOUT_S: Final = 5.0
# Seconds of most streams: with less, the next file would be as short.
_ROOM_BYTES: Final = 4 * 1024 * 1024


class RecordSink(Sink):
    """Records from the first keyframe on. Writing has a thread of its own, so a slow disk costs frames
    of the recording and nothing else: when the queue is full, whole frames up to the next keyframe are
    left out and counted.

    When the disk is full, or FILE cannot be written for another reason, that is said and the file closed
    as it stands: it can be played up to there. Once there is room again, the recording goes on by
    itself, in FILE-2. If it could not by the end, the consumer ends with an error.

    Raises:
        ConfigError: unknown extension, or FILE cannot be created.
    """

    wants_encoded = True

    def __init__(self, path: str, *, max_frames: int = _MAX_FRAMES, max_bytes: int = _MAX_BYTES) -> None:
        self._path = Path(path)
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._recording = Recording(self._path)
        self._changed = threading.Condition()
        self._queue: deque[tuple[EncodedFrame, int]] = deque()
        self._queued_bytes = 0
        self._awaiting_key = True
        self._overflowed = False
        self._epoch: int | None = None
        self._left_out = 0
        self._closing = False
        self._failure: SinkError | None = None
        self._failed = False
        self._trouble = Trouble("record", self._path, _ROOM_BYTES)
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    @property
    def left_out(self) -> int:
        """Frames that are missing from the recording because the disk was too slow."""
        return self._left_out

    def receive(self, frame: EncodedFrame) -> None:
        arrival_ns = monotonic_ns()
        header = frame.header
        with self._changed:
            if self._failed or self._closing:
                return
            if header.epoch != self._epoch:
                self._epoch = header.epoch
                self._awaiting_key = True
            if self._awaiting_key and not header.key:
                self._left_out += self._overflowed
                return
            if self._full(len(frame.body)):
                self._left_out += 1
                self._awaiting_key = self._overflowed = True
                return
            self._awaiting_key = self._overflowed = False
            self._queue.append((frame, arrival_ns))
            self._queued_bytes += len(frame.body)
            self._changed.notify()

    def tick(self) -> bool:
        with self._changed:
            self._raise_failure()
        return True

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            raise SinkError(f"record:{self._path} was not finished within {_CLOSE_TIMEOUT_S:g} s")
        with self._changed:
            self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _full(self, size_bytes: int) -> bool:
        if not self._queue:
            return False
        return len(self._queue) >= self._max_frames or self._queued_bytes + size_bytes > self._max_bytes

    def _run(self) -> None:
        limiter = RateLimiter()
        told = 0
        try:
            while (item := self._next()) is not None:
                self._record(*item)
                # Told by this thread: a log that blocks must not hold up the receiving one.
                if self._left_out > told and limiter.allow(monotonic_ns()) is not None:
                    told = self._tell_left_out()
            if self._left_out > told:
                self._tell_left_out()
            if (failure := self._trouble.failure) is not None:
                raise failure  # noqa: TRY301 - as all others
            self._recording.close()
        except Exception as error:  # noqa: BLE001 - raised by tick() in the thread that presents
            with self._changed:
                self._failed = True
                self._failure = (
                    error if isinstance(error, SinkError) else failed("record", self._path, error)
                )
                self._queue.clear()
            with contextlib.suppress(OSError):
                self._recording.abandon()

    def _record(self, frame: EncodedFrame, arrival_ns: int) -> None:
        trouble = self._trouble
        if trouble.broken and not (frame.header.key and trouble.try_now(monotonic_ns())):
            return
        try:
            self._recording.write(frame, arrival_ns)
        except OSError as error:
            trouble.began(error, monotonic_ns())
            with contextlib.suppress(OSError):
                self._recording.abandon()
        else:
            trouble.over(f", in {self._recording.name}")

    def _next(self) -> tuple[EncodedFrame, int] | None:
        """Wait for a frame; None once closed and all is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._queue)
            if not self._queue:
                return None
            frame, arrival_ns = self._queue.popleft()
            self._queued_bytes -= len(frame.body)
            return frame, arrival_ns

    def _tell_left_out(self) -> int:
        left_out = self._left_out
        _log.warning("record:%s: the disk is too slow, frames left out so far: %d", self._path, left_out)
        return left_out
