"""`pipe:FILE`: the stream as it came, or as MPEG-TS, for the standard input of another program."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from pathlib import Path
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import ConfigError, DecodeError, SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.consumer.sink_spec import STANDARD_OUTPUT
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.sinks.files import FileThread, only_writer, unusable
from fanlight.consumer.sinks.frame_queue import FrameQueue

_LOG: Final = logging.getLogger(__name__)
_MAX_FRAMES: Final = 64
_MAX_BYTES: Final = 16 * 1024 * 1024
# A pipe that is ready takes so much without waiting, whether or not its descriptor is non-blocking.
_CHUNK_BYTES: Final = select.PIPE_BUF
_POLL_MS: Final = 100
_PATIENCE_S: Final = 0.5


class PipeSink(Sink):
    """Writes whole frames, from a keyframe on, on a thread of its own. When its reader ends, so does the
    consumer.

    What the reader has not begun to take within `max_age_s` is left out up to the next keyframe, counted
    and logged.

    Args:
        patience_s: how long the writer waits for its reader when the consumer ends.

    Raises:
        ConfigError: FILE cannot be written, or standard output is a terminal.
    """

    def __init__(self, path: str, max_age_s: float, patience_s: float = _PATIENCE_S) -> None:
        self._path = path
        self._max_age_ns = int(max_age_s * 1e9)
        self._format = _Format(path)
        self._descriptor = _opened(path)
        # Two, since a poll object belongs to one thread at a time.
        self._writable, self._readers = select.poll(), select.poll()
        self._writable.register(self._descriptor, select.POLLOUT)
        self._readers.register(self._descriptor, 0)
        self._queue = FrameQueue(_MAX_FRAMES, _MAX_BYTES)
        self._closing = threading.Event()
        self._last_polls = round(patience_s * 1000 / _POLL_MS)
        self._left_out = self._reported = 0
        self._limiter = RateLimiter()
        self._log = LimitedLog(_LOG)
        self._thread = FileThread("pipe", Path(path), self._run, self._stop)

    def receive(self, frame: EncodedFrame) -> None:
        self._queue.put(frame, monotonic_ns())

    def tick(self) -> bool:
        self._thread.check()
        self._report()
        return not self._unread()

    def close(self) -> None:
        try:
            self._thread.close()
        finally:
            os.close(self._descriptor)
            self._report()

    @property
    def left_out(self) -> int:
        """Number of frames that were not written."""
        return self._left_out + self._queue.left_out

    def _stop(self) -> None:
        self._closing.set()
        self._queue.close()

    def _run(self) -> None:
        awaiting_key = False
        try:
            while (item := self._queue.take()) is not None:
                frame, arrival_ns = item
                late = monotonic_ns() - arrival_ns > self._max_age_ns
                awaiting_key = late or (awaiting_key and not frame.header.key)
                if not awaiting_key:
                    awaiting_key = not self._write(frame, arrival_ns)
                self._left_out += awaiting_key
        except BrokenPipeError:
            pass  # `tick` sees it as well, and also if no frame comes
        finally:
            self._queue.close()
            self._format.close()

    def _write(self, frame: EncodedFrame, arrival_ns: int) -> bool:
        """False if the frame cannot be written in this format."""
        try:
            rest = memoryview(self._format.convert(frame, arrival_ns))
        except DecodeError as error:
            self._log.warn(monotonic_ns(), "pipe:%s: frame left out: %s", self._path, error)
            return False
        while rest and self._last_polls:
            if self._writable.poll(_POLL_MS):
                try:
                    rest = rest[os.write(self._descriptor, rest[:_CHUNK_BYTES]) :]
                except BlockingIOError:  # another program writes there, too
                    continue
            elif self._closing.is_set():
                self._last_polls -= 1
        return True

    def _report(self) -> None:
        """Not on the writing thread, which waits for the reader."""
        left_out = self.left_out
        if left_out > self._reported and self._limiter.allow(monotonic_ns()) is not None:
            self._reported = left_out
            text = "pipe:%s: what reads it is too slow, frames left out so far: %d"
            _LOG.warning(text, self._path, left_out)

    def _unread(self) -> bool:
        return any(events & select.POLLERR for _, events in self._readers.poll(0))


class _Format:
    """The bytes of a frame, as the reader of a pipe expects them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kind: str | None = None
        self._transport = None
        if path.lower().endswith(".ts"):
            from fanlight.consumer.sinks.transport_stream import TransportStream  # loads libav

            self._transport = TransportStream()

    def convert(self, frame: EncodedFrame, arrival_ns: int) -> bytes:
        """See `TransportStream.write`.

        Raises:
            DecodeError: the body is damaged.
            SinkError: the reader could not tell that a frame is of another kind than those before it.
        """
        if self._transport is not None:
            return self._transport.write(frame, arrival_ns)
        kind = _kind(frame)
        before = self._kind = self._kind or kind
        if kind != before:
            raise SinkError(f"pipe:{self._path} cannot go on: the stream was {before}, and is {kind} now")
        return frame.body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _kind(frame: EncodedFrame) -> str:
    """The codec; of raw pictures the size too, as they do not have it."""
    header = frame.header
    return f"raw {header.width}x{header.height}" if header.codec is Codec.RAW else str(header.codec)


def _opened(path: str) -> int:
    try:
        if path not in STANDARD_OUTPUT:
            return only_writer(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        if sys.stdout.isatty():
            allowed = "standard output is a terminal: write `| PROGRAM` or `> FILE` after the command"
            raise ConfigError("--sink", f"pipe:{path}", allowed)
        return os.dup(sys.stdout.fileno())
    except OSError as error:
        raise unusable("pipe", Path(path), error) from None
