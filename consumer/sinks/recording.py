"""The files of one recording: FILE, then FILE-2, FILE-3, ... whenever the stream changes its shape."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import BinaryIO, Final

from fanlight.common.model.frame import EncodedFrame
from fanlight.consumer.sinks.files import require_suffix, unusable
from fanlight.consumer.sinks.muxer import FORMATS, Muxer

_log: Final = logging.getLogger(__name__)


class Recording:
    """Where recorded frames go. Belongs to one thread once it is open.

    Nothing is ever overwritten: names that are taken are passed over. The first file is created at once,
    so that a folder that cannot be written to shows before the first frame; it is removed again
    if none comes.

    Raises:
        ConfigError: unknown extension, or the file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        require_suffix("record", path, tuple(FORMATS))
        self._path = path
        self._shape: tuple[object, ...] | None = None
        self._muxer: Muxer | None = None
        try:
            self._file = self._create()
        except OSError as error:
            raise unusable("record", path, error) from None
        if self._file.name != str(path):
            _log.warning("record: %s exists and is kept, recording to %s", path, self._file.name)

    @property
    def name(self) -> str:
        """The file that is being written."""
        return self._file.name

    def write(self, frame: EncodedFrame, arrival_ns: int) -> None:
        """Append one frame, or leave it out if its file could not start with it.

        Raises:
            OSError, FFmpegError: it cannot be written.
        """
        header = frame.header
        shape = (header.codec, header.width, header.height)
        if shape != self._shape:
            if not header.key:
                return
            self._finish()
            if self._file.closed:
                self._file = self._create()
            if self._shape is not None:
                shown = f"{header.codec} {header.width}x{header.height}"
                _log.warning(
                    "record: the stream is now %s, recording goes on in %s", shown, self._file.name
                )
            self._muxer, self._shape = Muxer(self._file, header), shape
        assert self._muxer is not None  # noqa: S101 - a shape is known, so its file is open
        self._muxer.write(frame, arrival_ns)

    def close(self) -> None:
        """Finish the file, or remove it if nothing was recorded.

        Raises:
            OSError, FFmpegError: it cannot be written.
        """
        self._finish()
        if not self._file.closed:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)

    def abandon(self) -> None:
        """Leave the file as it stands, after a write has failed; the next keyframe opens the next one."""
        muxer, self._muxer, self._shape = self._muxer, None, None
        try:
            if muxer is not None:
                muxer.abandon()
        finally:
            self._file.close()
            path = Path(self._file.name)
            if path.exists() and not path.stat().st_size:
                path.unlink()

    def _finish(self) -> None:
        muxer, self._muxer = self._muxer, None
        if muxer is not None:
            muxer.close()

    def _create(self) -> BinaryIO:
        """The first of FILE, FILE-2, FILE-3, ... that does not exist.

        Raises:
            OSError: none can be created.
        """
        for number in itertools.count(1):
            name = self._path.name if number == 1 else f"{self._path.stem}-{number}{self._path.suffix}"
            try:
                # Without a buffer: libav has its own, and an error must show where it happens.
                return self._path.with_name(name).open("xb", buffering=0)
            except FileExistsError:
                continue
        raise AssertionError
