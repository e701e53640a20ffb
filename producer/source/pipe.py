"""A video that another program writes: to standard input, or to a named pipe (FIFO)."""

from __future__ import annotations

import logging
import os
import select
import threading
from dataclasses import replace
from typing import Any

from fanlight.common.model.errors import SourceError
from fanlight.common.model.reasons import reason
from fanlight.producer.source.media import LIVE_OPTIONS, UrlSource
from fanlight.producer.source.video_input import VideoInput

_LOG = logging.getLogger(__name__)

_WAIT_MS = 200
_QUIET_WAITS = 10
_FOREVER_S = 1000 * 3600.0


class PipeSource(UrlSource):
    """H.264, MPEG-TS, multipart or plain JPEG, or any format that FFmpeg reads without seeking.

    It is live: only the newest picture is kept, and nothing else piles up. A pipe that carries nothing for
    a while is not opened anew: what writes to it would end.

    Args:
        pipe: a file descriptor, which is not closed, or the path of a FIFO.
    """

    def __init__(self, pipe: int | str, name: str, **options: Any) -> None:
        self._pipe = pipe
        self._reading: PipeReader | None = None
        super().__init__(name, **options | {"open_s": _FOREVER_S, "stall_s": _FOREVER_S})

    def open(self) -> None:
        """Wait until there is a video in it.

        Raises:
            SourceError: it cannot be opened, or there is no video in it.
        """
        try:
            super().open()
        finally:
            # The writer of a FIFO may come back; there is no second standard input.
            self.live = isinstance(self._pipe, str)

    def interrupt(self) -> None:
        if (reading := self._reading) is not None:
            reading.stop()
        super().interrupt()

    def close(self) -> None:
        if (reading := self._reading) is not None:
            reading.stop()
        super().close()

    def __str__(self) -> str:
        return self._url

    def _options(self) -> dict[str, str]:
        # H.264 has no timestamps here, and FFmpeg would wait for a second of it to find its rate.
        return LIVE_OPTIONS | {"analyzeduration": "200000"}

    def _input(self) -> VideoInput:
        self.close()
        try:
            # Without a writer, a blocking open would wait, and nothing could end that.
            if isinstance(self._pipe, int):
                pipe = os.dup(self._pipe)
            else:
                pipe = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise SourceError(f"{self}: cannot be opened: {reason(error)}") from None
        self._reading = reading = PipeReader(pipe, str(self))
        if self._feed.interrupted.is_set():
            reading.stop()
        # FFmpeg has no limits here: `PipeReader` waits, and can be stopped.
        return replace(self._video, address=reading, timeouts_s=(_FOREVER_S, _FOREVER_S))


class PipeReader:
    """What FFmpeg reads from, on one thread; `stop` is thread-safe.

    Args:
        descriptor: closed by `close`.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._stopped = threading.Event()
        self._waits = 0

    def read(self, size: int, /) -> bytes:
        """What there is, as soon as there is any; nothing at the end, and soon after `stop`."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not self._stopped.is_set():
            if poll.poll(_WAIT_MS):
                self._waits = _QUIET_WAITS
                return os.read(self._descriptor, size)
            self._waits += 1
            if self._waits == _QUIET_WAITS:
                _LOG.info("%s: nothing comes yet; waiting", self._name)
        return b""

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
