"""Tells why no frame is presented: in the log, in the statistics, and so in `/healthz` and `status`."""

from __future__ import annotations

import logging
from typing import Final

from fanlight.common.model.stall_detector import StallDetector, grown_most
from fanlight.common.model.units import duration_text, rough_duration
from fanlight.consumer.settings import ConsumerSettings, Via
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats

_LOG: Final = logging.getLogger(__name__)

NOTHING_ARRIVES: Final = "connected, but nothing arrives; is a producer running?"
NO_HUB: Final = (
    "connected, but nothing comes from a hub; does one run here (python -m consumer --sink share), "
    "and does a producer?"
)
ENDED: Final = "the stream has ended; the next producer is waited for"
_BLOCKED: Final = "the broker is blocked: it is short of memory or disk"
# Why nothing is presented, by the counter that grows.
_REASONS: Final = {
    "malformed": "what arrives is refused: {error}",
    "undecodable": "what arrives cannot be decoded: {error}",
    "late": "what arrives is {age}",
    "awaiting_key": "awaiting a keyframe",
    "duplicate": "what arrives is older than what came before, or from a second producer of this stream",
    "superseded": "frames arrive, but none is taken",
}
_RECENT_NS: Final = 5_000_000_000


class StallLog:
    """Belongs to the receiving thread, which calls it once a second, or every two seconds."""

    def __init__(self, settings: ConsumerSettings, counters: ConsumerCounters) -> None:
        self._settings = settings
        self._counters = counters
        self._detector = StallDetector()
        self._nothing_arrives = NO_HUB if settings.way is Via.HOST else NOTHING_ARRIVES
        self._before: ConsumerStats | None = None
        self._reason = ""
        self._reason_ns = 0

    def restart(self, now_ns: int) -> None:
        """The subscription is established, again; `now_ns` is monotonic."""
        self._detector.restart()
        self.observe(self._counters.stats(now_ns), now_ns)

    def observe(self, stats: ConsumerStats, now_ns: int) -> None:
        """Find out why nothing is presented, if that is so, and log it when it is time to."""
        before, self._before = self._before, stats
        self._update_reason(before, stats, now_ns)
        self._counters.no_frame = self._reason
        # A pause between frames is usual; frames that are dropped are not.
        paused = self._reason in ("", ENDED, self._nothing_arrives)
        stall = self._detector.observe(stats.presented, now_ns, self._patience_ns() if paused else 0)
        if stall is None:
            return
        stream, for_s = self._settings.stream, rough_duration(stall.seconds)
        if stall.over:
            _LOG.warning("frames of stream %s are presented again, after %s", stream, for_s)
        elif self._reason not in (ENDED, _REASONS["superseded"]):  # or else it is the program that pauses
            _LOG.warning("no frame of stream %s for %s: %s", stream, for_s, self._reason)

    def _update_reason(self, before: ConsumerStats | None, stats: ConsumerStats, now_ns: int) -> None:
        if before is None or stats.presented != before.presented:
            self._reason, self._reason_ns = "", now_ns
            return
        most = grown_most(before, stats, _REASONS)
        if most is not None:
            self._reason, self._reason_ns = self._filled(_REASONS[most]), now_ns
        elif stats.blocked:
            self._reason = _BLOCKED
        elif now_ns - self._reason_ns >= max(_RECENT_NS, self._patience_ns()) or not self._reason:
            self._reason = ENDED if self._counters.presence.has_ended else self._nothing_arrives

    def _filled(self, reason: str) -> str:
        return reason.format(error=self._counters.last_error, age=self._age())

    def _age(self) -> str:
        age_s = self._counters.last_late_s
        if age_s < 0:
            return f"captured in the future: {rough_duration(-age_s)} ahead of this host's clock"
        if age_s <= self._settings.max_age_s:
            return "past its playout time"
        max_age = duration_text(self._settings.max_age_s)
        return f"too old: captured {rough_duration(age_s)} ago by its capture_ns, --max-age is {max_age}"

    def _patience_ns(self) -> int:
        return 0 if self._counters.newest_fps is None else int(self._counters.stall_s * 1e9)
