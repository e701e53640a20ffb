"""Receives what detectors found, and hands it out with its frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from fanlight.common import transport
from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.result import Result
from fanlight.consumer.result_store import ALL, ResultStore
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ResultCounts

_LOG = logging.getLogger(__name__)

_LATE_INTERVAL_NS: Final = 60_000_000_000
_LATE: Final = (
    "results of %s come after their frames were presented; a longer --wait, or --playout sync with a "
    "longer --delay, would help"
)


class ResultsReception:
    """Receives from its own thread; `of` and `complete` are thread-safe.

    Args:
        on_result: called in that thread when a result came in time.
        on_failed: called in that thread if results cannot be received for good.
        on_found: called in that thread with each result of a wanted detector, in time or late; None for
            nobody.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        on_result: Callable[[], None],
        on_failed: Callable[[FanlightError], None],
        on_found: Callable[[Result], None] | None = None,
    ) -> None:
        self._store = ResultStore(settings.results, int(settings.max_age_s * 1e9))
        self._sized = settings.picture_format.sized
        self._on_result = on_result
        self._on_found = on_found
        self._names = settings.results
        self._late = LimitedLog(_LOG, _LATE_INTERVAL_NS)
        self._subscriber = transport.results(
            settings.url,
            settings.credentials,
            stream=settings.stream,
            name=settings.name,
            on_result=self._received,
            on_failed=on_failed,
            trust=settings.trust,
        )

    def start(self) -> None:
        """Start receiving; returns at once."""
        self._subscriber.start()

    def close(self) -> None:
        """Begin to end."""
        self._subscriber.close()

    def stop(self, timeout_s: float) -> None:
        """End. Idempotent and thread-safe."""
        self._subscriber.stop(timeout_s)

    def complete(self, header: FrameHeader) -> bool:
        """Whether all wanted detectors have answered this frame."""
        return self._store.complete((header.epoch, header.seq), monotonic_ns())

    def of(self, header: FrameHeader) -> Mapping[str, Result]:
        """The results of a frame that is presented now, in pixels of its picture."""
        found = self._store.take((header.epoch, header.seq))
        if not found:
            return found
        width, height = self._sized(header.width, header.height)
        return {name: result.scaled(width, height) for name, result in found.items()}

    def counts(self) -> ResultCounts:
        """What became of the results."""
        return self._store.counts(self._subscriber.refused, self._subscriber.excess)

    def _received(self, result: Result) -> None:
        if self._on_found is not None and (ALL in self._names or result.name in self._names):
            self._on_found(result)
        now_ns = monotonic_ns()
        fate = self._store.add(result, now_ns)
        if fate is None:
            self._on_result()
        elif fate == "late":
            self._late.warn(now_ns, _LATE, result.name)
