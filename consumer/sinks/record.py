"""`record:FILE`: records the stream to an MP4 or Matroska file, and to FILE.jsonl what that cannot hold."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import deque
from pathlib import Path
from typing import Final, TypeAlias

import av

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import FanlightError, SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.model.reasons import reason
from fanlight.common.model.result import Result
from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.sinks.files import FileThread, WriteRetry, require_suffix, unusable
from fanlight.consumer.sinks.frame_queue import FrameQueue
from fanlight.consumer.sinks.muxer import FORMATS, Muxer, WholeFile, require_codec
from fanlight.consumer.sinks.sidecar import Sidecar, sidecar_path

_LOG: Final = logging.getLogger(__name__)
# A few seconds of most streams: with less, the next file would be shorter than that.
_ROOM_BYTES: Final = 4 * 1024 * 1024
# Results that wait for the writing thread. Parsed they take up to twenty times their bytes.
_MOST_RESULTS: Final = 1024
_MOST_RESULT_BYTES: Final = 4 * 1024 * 1024


class RecordSink(Sink):
    """Records from the first keyframe on, on a thread of its own: a slow disk only drops frames of the
    recording.

    When the disk is full, or FILE cannot be written for another reason, a warning is logged and the file is
    closed; it is playable up to there. Once writing is possible again, the recording continues in FILE-2.
    If it fails until the end, the consumer ends with an error.

    A frame that the file cannot hold is left out, counted and logged; if there were no others, the consumer
    ends with that error.

    Args:
        results: what detectors find is wanted: see `Recording`.

    Raises:
        ConfigError: unknown extension, or FILE cannot be created.
    """

    def __init__(self, path: str, queue: FrameQueue | None = None, *, results: bool = False) -> None:
        self._path = Path(path)
        self._recording = Recording(self._path, results=results)
        self._results: deque[Result] = deque()
        # Bytes that the receiving thread has put there, and that the writing one has taken.
        self._put_bytes = self._taken_bytes = 0
        self._results_left_out = 0
        self._queue = FrameQueue() if queue is None else queue
        self._retry = WriteRetry("record", self._path, _ROOM_BYTES)
        self._thread = FileThread("record", self._path, self._run, self._queue.close)

    def receive(self, frame: EncodedFrame) -> None:
        self._queue.put(frame, monotonic_ns())

    def result(self, result: Result) -> None:
        # Written with the next frame: there is no hurry.
        waiting_bytes = self._put_bytes - self._taken_bytes + result.size_bytes
        if len(self._results) >= _MOST_RESULTS or waiting_bytes > _MOST_RESULT_BYTES:
            self._results_left_out += 1
            return
        self._put_bytes += result.size_bytes
        self._results.append(result)

    def tick(self) -> bool:
        self._thread.check()
        return True

    def close(self) -> None:
        self._thread.close()

    def _run(self) -> None:
        limiter = RateLimiter()
        reported = 0
        try:
            while (item := self._queue.take()) is not None:
                self._write(*item)
                # Logged on this thread: a blocking log must not delay the receiving one.
                if self._queue.left_out > reported and limiter.allow(monotonic_ns()) is not None:
                    reported = self._report_left_out()
            if self._queue.left_out > reported:
                self._report_left_out()
            if (failure := self._retry.failure) is not None:
                raise failure  # noqa: TRY301 - handled below like other errors
            self._write_results()
            if self._results_left_out:
                _LOG.warning("record:%s: results left out: %d", self._path, self._results_left_out)
            self._recording.close()
            if self._recording.refused is not None and not self._recording.frames:
                raise self._recording.refused  # noqa: TRY301 - likewise
        except Exception:
            self._queue.close()
            with contextlib.suppress(OSError):
                self._recording.abandon()
            raise

    def _write(self, frame: EncodedFrame, arrival_ns: int) -> None:
        retry = self._retry
        if retry.failing and not (frame.header.key and retry.due(monotonic_ns())):
            return
        try:
            self._recording.write(frame, arrival_ns)
            self._write_results()
        except OSError as error:
            retry.failed(error, monotonic_ns())
            with contextlib.suppress(OSError):
                self._recording.abandon()
        except (FanlightError, av.FFmpegError, ArithmeticError, ValueError) as error:
            self._recording.leave_out(error)
        else:
            retry.succeeded(f", in {self._recording.name}")

    def _write_results(self) -> None:
        while self._results:
            result = self._results.popleft()
            self._taken_bytes += result.size_bytes
            self._recording.result(result)

    def _report_left_out(self) -> int:
        left_out = self._queue.left_out
        _LOG.warning("record:%s: the disk is too slow, frames left out so far: %d", self._path, left_out)
        return left_out


_Shape: TypeAlias = tuple[Codec, int, int]


def _shape(frame: EncodedFrame) -> _Shape:
    return frame.header.codec, frame.header.width, frame.header.height


class Recording:
    """The files of one recording: FILE, then FILE-2, FILE-3, ... whenever the codec or size changes, and
    after a write that failed. Belongs to one thread once it is open.

    A single frame of another codec or size is left out: it comes from somebody else.

    Beside each there is a sidecar (docs/results.md) if what detectors find is wanted, or frames have
    metadata.

    Existing files are never overwritten: their names are skipped. The first file is created at once, so
    that an unwritable folder is detected before the first frame; it is removed if no frame is recorded.

    Args:
        results: there will be `result`s.

    Attributes:
        frames: number of frames written.
        left_out: number of frames that `write` refused.
        refused: why it refused the latest of them.

    Raises:
        ConfigError: unknown extension, or the file cannot be created.
    """

    def __init__(self, path: Path, *, results: bool = False) -> None:
        require_suffix("record", path, tuple(FORMATS))
        self.frames = 0
        self.left_out = 0
        self.refused: Exception | None = None
        self._path = path
        self._log = LimitedLog(_LOG)
        self._shape: _Shape | None = None
        self._changing: tuple[EncodedFrame, int] | None = None  # the first frame of another shape
        self._muxer: Muxer | None = None
        self._with_results = results
        self._sidecar: Sidecar | None = None
        self._early: deque[Result] = deque()
        self._unmatched = 0
        try:
            self._file = self._create()
        except OSError as error:
            raise unusable("record", path, error) from None
        if self._file.name != str(path):
            _LOG.warning("record: %s exists and is kept, recording to %s", path, self._file.name)

    @property
    def name(self) -> str:
        """The file that is being written."""
        return str(self._file.name)

    def write(self, frame: EncodedFrame, arrival_ns: int) -> None:
        """Append one frame, or leave it out if its file could not start with it.

        Raises:
            OSError: it cannot be written.
            FanlightError, FFmpegError, ArithmeticError, ValueError: the file cannot hold it.
        """
        require_codec(self._path, frame.header.codec)
        changing, self._changing = self._changing, None
        if self._muxer is not None and _shape(frame) != self._shape:
            if changing is None or _shape(changing[0]) != _shape(frame):
                self._leave_out_foreign(changing)
                self._changing = frame, arrival_ns
                return
            self._append(*changing)
        else:
            self._leave_out_foreign(changing)
        self._append(frame, arrival_ns)

    def result(self, result: Result) -> None:
        """Note what a detector found; without its frame it is left out.

        Raises:
            OSError: it cannot be written.
        """
        if self._sidecar is None:
            self._unmatched += 1
        else:
            self._sidecar.result(result)

    def leave_out(self, error: Exception) -> None:
        """Count and log a frame that `write` refused."""
        self.left_out += 1
        self.refused = error
        self._log.warn(monotonic_ns(), "record:%s: frame left out: %s", self._path, reason(error))

    def _leave_out_foreign(self, changing: tuple[EncodedFrame, int] | None) -> None:
        if changing is not None:
            shape = "{} {}x{}".format(*_shape(changing[0]))
            self.leave_out(SinkError(f"a single one of {shape}, in a stream of another codec or size"))

    def _append(self, frame: EncodedFrame, arrival_ns: int) -> None:
        header, shape = frame.header, _shape(frame)
        if self._muxer is None or shape != self._shape:
            if not header.key:
                return
            self._finish()
            if self._file.closed:
                self._file = self._create()
            if self._shape is not None:
                shown = f"{header.codec} {header.width}x{header.height}"
                _LOG.warning("record: the stream is now %s, recording goes on in %s", shown, self.name)
            self._muxer, self._shape = Muxer(self._file, header), shape
        try:
            self._muxer.write(frame, arrival_ns)
        except Exception:
            if not self._muxer.frames:
                self.abandon()  # the next frame may be of another shape
            raise
        self.frames += 1
        if self._sidecar is None and (self._with_results or header.meta):
            self._sidecar = Sidecar(Path(self.name), self._early)
        if self._sidecar is not None:
            self._sidecar.frame(header, self._muxer.position_s)

    def close(self) -> None:
        """Finish the file, or remove it if nothing was recorded.

        Raises:
            OSError, FFmpegError: it cannot be written.
        """
        self._leave_out_foreign(self._changing)
        self._finish()
        if not self._file.closed:
            self._file.close()
            Path(self.name).unlink(missing_ok=True)
            _LOG.info("record:%s: nothing was recorded", self._path)
        if unmatched := self._unmatched + len(self._early):
            _LOG.info("record:%s: results without their frame: %d", self._path, unmatched)

    def abandon(self) -> None:
        """Close the file after a failed write; the next keyframe opens the next file."""
        muxer, self._muxer, self._shape = self._muxer, None, None
        sidecar, self._sidecar = self._sidecar, None
        try:
            if sidecar is not None:
                self._unmatched += sidecar.unmatched
                sidecar.abandon()
            if muxer is not None:
                muxer.abandon()
        finally:
            self._file.close()
            path = Path(self.name)
            nothing_in_it = muxer is not None and not muxer.frames
            if path.exists() and (nothing_in_it or not path.stat().st_size):
                path.unlink()
                if sidecar is not None:
                    sidecar.path.unlink(missing_ok=True)

    def _finish(self) -> None:
        muxer, self._muxer = self._muxer, None
        sidecar, self._sidecar = self._sidecar, None
        if sidecar is not None:
            self._unmatched += sidecar.unmatched
            sidecar.close()
        if muxer is not None:
            muxer.close()
            path = Path(self.name).absolute()
            missing = f", {self.left_out} left out" if self.left_out else ""
            _LOG.info("recorded %.1f s, %d frames%s: %s", muxer.duration_s, muxer.frames, missing, path)

    def _create(self) -> WholeFile:
        for number in itertools.count(1):
            name = self._path.name if number == 1 else f"{self._path.stem}-{number}{self._path.suffix}"
            path = self._path.with_name(name)
            if sidecar_path(path).exists():
                continue
            try:
                return WholeFile(str(path), "x")
            except FileExistsError:
                continue
        raise AssertionError
