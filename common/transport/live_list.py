"""Keeps the list of live streams for a transport, and calls its user when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.announcement import Announcement, Directory
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.rate_limit import RateLimiter

_LOG = logging.getLogger(__name__)

# Every producer announces itself within this time, and some more to arrive.
COMPLETE_NS: Final = 2_500_000_000
# However fast announcements change, a list of a thousand streams is built this often at most.
_SHORTEST_INTERVAL_NS: Final = 100_000_000

Listed = tuple[Announcement, ...]


class LiveList:
    """Not thread-safe; `now_ns` is monotonic time.

    Attributes:
        complete: whether every live stream is known, as far as it announces itself.
        refused: announcements that break the wire contract, or are beyond the largest number of streams.
    """

    def __init__(self, on_change: Callable[[Listed], None]) -> None:
        self._on_change = on_change
        self._directory = Directory()
        self._limiter = RateLimiter(_SHORTEST_INTERVAL_NS)
        self._log = LimitedLog(_LOG)
        self._listed: Listed = ()
        self._since_ns: int | None = None
        self._malformed = 0
        self.complete = False

    @property
    def refused(self) -> int:
        return self._malformed + self._directory.dropped

    def established(self, now_ns: int) -> None:
        """Announcements can come, for the first time or again."""
        if self._since_ns is None:
            self._since_ns = now_ns

    def observe(self, announcement: Announcement, now_ns: int) -> None:
        """An announcement came; `check` is to be called soon."""
        dropped = self._directory.dropped
        self._directory.observe(announcement, now_ns)
        if self._directory.dropped > dropped:
            self._log.warn(now_ns, "stream %s is one too many for the list", announcement.stream)

    def malformed(self, error: WireFormatError, now_ns: int) -> None:
        """Something else came."""
        self._malformed += 1
        self._log.warn(now_ns, "announcement refused: %s", error)

    def clear(self) -> None:
        """The one producer is gone."""
        self._directory.clear()
        if self._listed:
            self._listed = ()
            self._on_change(())

    def check(self, now_ns: int, *, complete: bool = False) -> None:
        """Call the user if the list has changed, and once when it is complete.

        To be called every half a second, and after announcements.

        Args:
            complete: no further stream will be announced.
        """
        listed = self._directory.live(now_ns)
        complete = complete or (self._since_ns is not None and now_ns - self._since_ns >= COMPLETE_NS)
        now_complete = complete and not self.complete
        if not now_complete and (listed == self._listed or self._limiter.allow(now_ns) is None):
            return
        self.complete = self.complete or complete
        self._listed = listed
        self._on_change(listed)
