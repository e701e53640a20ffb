"""The capture thread: reads the source, and reopens a live source that failed."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import FanlightError, SourceError
from fanlight.common.model.retry import backoff
from fanlight.common.transport.outage_log import OutageLog
from fanlight.producer.source.base import Captured, Source
from fanlight.producer.worker import Worker

_LOG = logging.getLogger(__name__)

_STEADY_NS: Final = 2_000_000_000


def _delays() -> Iterator[float]:
    return backoff(random.Random())  # noqa: S311 - jitter only: nothing here is a secret


class Capture(Worker):
    """Reads a source at its own pace, never blocked by encoding or publishing.

    A `live` source is reopened after a failure, without a limit; one that is not there at the start for
    `wait_s`. The error of another source is passed to `on_ended`.

    Args:
        wait_s: None for the source's own limit.
        delays: returns the delays between attempts to reopen, in seconds.
    """

    def __init__(
        self,
        source: Source,
        *,
        on_picture: Callable[[Captured], None],
        on_ended: Callable[[FanlightError | None], None],
        wait_s: float | None = None,
        delays: Callable[[], Iterator[float]] = _delays,
    ) -> None:
        super().__init__("capture", on_ended)
        self._source = source
        self._on_picture = on_picture
        self._wait_s = source.wait_s if wait_s is None else wait_s
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
        outage = OutageLog(_LOG, "source")
        began_ns = monotonic_ns()
        failed = False
        while not self._stopping.is_set():
            before = self._pictures
            opened_ns = monotonic_ns()
            try:
                source.open()
                opened_ns = monotonic_ns()
                if failed and not self._stopping.is_set():
                    outage.over(opened_ns, source)
                failed = False
                self._read_all()
            except SourceError as error:
                if not source.live or self._stopping.is_set() or self._gives_up(began_ns):
                    raise
                failed = True
                # One that ends as soon as it is opened is not asked again and again.
                if self._pictures > before and monotonic_ns() - opened_ns > _STEADY_NS:
                    delays = self._delays()
                delay_s = next(delays)
                where = "" if self._pictures else " (--wait)"
                outage.failed(monotonic_ns(), str(error), delay_s, where)
            else:
                return
            source.close()
            self._stopping.wait(delay_s)

    def _gives_up(self, began_ns: int) -> bool:
        """Whether the source was never there, and has been waited for long enough."""
        waited_s = (monotonic_ns() - began_ns) / 1e9
        return self._wait_s is not None and not self._pictures and waited_s >= self._wait_s

    def _read_all(self) -> None:
        while not self._stopping.is_set():
            captured = self._source.read()
            if captured is None:
                if not self._stopping.is_set():
                    _LOG.info("source %s ended after %d pictures", self._source, self._pictures)
                return
            self._pictures += 1
            self._on_picture(captured)
