"""The capture thread: reads the source, and reopens a live source that failed."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import FanlightError, SourceError
from fanlight.common.model.retry import backoff
from fanlight.producer.source.base import Captured, Source
from fanlight.producer.worker import Worker

_LOG = logging.getLogger(__name__)


def _delays() -> Iterator[float]:
    return backoff(random.Random())  # noqa: S311 - jitter only: nothing here is a secret


class Capture(Worker):
    """Reads a source at its own pace, never blocked by encoding or publishing.

    A `live` source is reopened after a failure, without a limit. A source that has never delivered a
    picture is not reopened: its error is passed to `on_ended`.

    Args:
        delays: returns the delays between attempts to reopen, in seconds.
    """

    def __init__(
        self,
        source: Source,
        *,
        on_picture: Callable[[Captured], None],
        on_ended: Callable[[FanlightError | None], None],
        delays: Callable[[], Iterator[float]] = _delays,
    ) -> None:
        super().__init__("capture", on_ended)
        self._source = source
        self._on_picture = on_picture
        self._delays = delays
        self._pictures = 0

    def stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._source.interrupt()
        self.join(timeout_s)

    def run(self) -> None:
        try:
            self._read_and_reopen()
        finally:
            self._source.close()

    def _read_and_reopen(self) -> None:
        source = self._source
        delays = self._delays()
        warnings = LimitedLog(_LOG)
        while not self._stopping.is_set():
            before = self._pictures
            try:
                source.open()
                if before:
                    _LOG.info("source %s is back", source)
                self._read_all()
            except SourceError as error:
                if not (source.live and self._pictures) or self._stopping.is_set():
                    raise
                warnings.warn(monotonic_ns(), "%s; waiting for it to come back", error)
            else:
                return
            source.close()
            if self._pictures > before:
                delays = self._delays()
            self._stopping.wait(next(delays))

    def _read_all(self) -> None:
        while not self._stopping.is_set():
            captured = self._source.read()
            if captured is None:
                if not self._stopping.is_set():
                    _LOG.info("source %s ended after %d pictures", self._source, self._pictures)
                return
            self._pictures += 1
            self._on_picture(captured)
