"""Logs why nothing is published, and that the machine is too slow for what it is to encode."""

from __future__ import annotations

import logging
from typing import Final

from fanlight.common.model.lag_detector import LagDetector
from fanlight.common.model.stall_detector import StallDetector, grown_most
from fanlight.common.model.units import duration_text, rough_duration
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.stats import ProducerCounters, ProducerStats

_LOG: Final = logging.getLogger(__name__)

_INTERVAL_NS: Final = 1_000_000_000
_UNWATCHED: Final = "nobody watches stream %s: nothing is encoded until a consumer comes"
_NOTHING_PUBLISHED: Final = "no picture of stream %s was published for %s: %s"
_TOO_SLOW: Final = (
    "this machine is too slow for the stream: %.0f of %.0f pictures per second are encoded; a smaller "
    "--size, a lower --fps or another --codec would help"
)
# Why nothing is published, by the counter that grows.
_REASONS: Final = {
    "stale": "all are stale: captured {age} ago by their capture_ns, --max-age is {max_age}",
    "unencodable": "none could be encoded",
    "limited": "all are beyond the rate of --fps",
    "skipped": "all are skipped: encoding, or the network, takes too long",
    "unreadable": "none could be read",
}


class StallLog:
    """Belongs to the encoding thread; all `now_ns` are monotonic.

    Nobody watching is no fault. What is wrong with the connection or the source, their own parts log.
    """

    def __init__(self, settings: ProducerSettings, counters: ProducerCounters) -> None:
        self._settings = settings
        self._counters = counters
        self._detector = StallDetector()
        self._lag = LagDetector()
        self._before: ProducerStats | None = None
        self._unwatched_logged = False
        self._due_ns = 0

    def tick(self, now_ns: int, *, watched: bool) -> None:
        """To be called often; does something once a second."""
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + _INTERVAL_NS
        stats = self._counters.stats(now_ns)
        before, self._before = self._before, stats
        encoding_s = self._counters.encoding_s
        lag = self._lag.observe(stats.captured, stats.skipped, encoding_s, now_ns / 1e9)
        if lag is not None:
            _LOG.warning(_TOO_SLOW, lag.shown_fps, lag.stream_fps)
        stream = self._settings.stream
        if not watched and stats.connected and not self._unwatched_logged:
            self._unwatched_logged = True
            _LOG.info(_UNWATCHED, stream)
        idle = before is None or stats.captured == before.captured
        if idle or not watched or not stats.connected or stats.blocked:
            self._detector.restart()
        stall = self._detector.observe(stats.published, now_ns)
        if stall is None or before is None:
            return
        for_s = rough_duration(stall.seconds)
        if stall.over:
            _LOG.warning("pictures of stream %s are published again, after %s", stream, for_s)
        else:
            _LOG.warning(_NOTHING_PUBLISHED, stream, for_s, self._reason(before, stats))

    def _reason(self, before: ProducerStats, stats: ProducerStats) -> str:
        return _REASONS[grown_most(before, stats, _REASONS) or "skipped"].format(
            age=rough_duration(self._counters.last_stale_s), max_age=duration_text(self._settings.max_age_s)
        )
