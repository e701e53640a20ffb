"""Logs an outage of a connection when it begins, ever more seldom while it lasts, and when it ends."""

from __future__ import annotations

import logging
from typing import Final

_SECOND_NS: Final = 1_000_000_000
_FIRST_INTERVAL_NS: Final = 2 * _SECOND_NS
_LONGEST_INTERVAL_NS: Final = 64 * _SECOND_NS
# A connection that lasted for less has not ended the outage: a peer may accept each one and close it again.
_STABLE_NS: Final = 5 * _SECOND_NS
_MOST_REASONS: Final = 8
# The one that follows the loss.
_FIRST_ATTEMPT: Final = 2


class OutageLog:
    """The log lines of one connection. Not thread-safe; `now_ns` is monotonic time.

    A reason that was not yet logged in this outage is logged a second after the last line; any other one
    after an interval that doubles from 2 s to 64 s.

    Args:
        title: begins each line.
        quiet: log for debugging only: another connection of this process logs the same.
    """

    def __init__(self, log: logging.Logger, title: str, *, quiet: bool = False) -> None:
        self.title = title
        self._log = log
        self._quiet = quiet
        self._reasons: set[str] = set()
        self._attempts = 0
        self._began_ns: int | None = None
        self._ended_ns: int | None = None
        self._logged_ns: int | None = None
        self._interval_ns = _FIRST_INTERVAL_NS
        self._new = True
        self._announced = False  # a line says that it is lost

    def failed(
        self, now_ns: int, reason: str, next_s: float, where: str = "", *, loud: bool = False
    ) -> None:
        """The connection was lost or an attempt failed; the next one follows in `next_s`, at `where`.

        Args:
            loud: the reason is one of this connection alone, so that a quiet one is to log it, too.
        """
        if self._ended_ns is not None and now_ns - self._ended_ns >= _STABLE_NS:
            self._reasons.clear()
            self._logged_ns, self._interval_ns = None, _FIRST_INTERVAL_NS
        self._ended_ns = None
        if self._began_ns is None:
            self._began_ns, self._attempts = now_ns, _FIRST_ATTEMPT - 1
        self._attempts += 1
        line = ("%s: %s; attempt %d%s in %.1f s", self.title, reason, self._attempts, where, next_s)
        # The first time it may be an end that all connections share, as by a broker that stops.
        if self._quiet and not (loud and self._attempts > _FIRST_ATTEMPT):
            self._log.debug(*line)
        elif self._due(now_ns, reason):
            self._logged_ns, self._announced = now_ns, True
            self._log.warning(*line)

    def over(self, now_ns: int, peer: object) -> None:
        """The connection is established, for the first time or again."""
        if self._new or self._announced:
            after = ""
            if self._began_ns is not None:
                outage_s = (now_ns - self._began_ns) / _SECOND_NS
                after = f", after {outage_s:.1f} s and {self._attempts} attempts"
            level = logging.DEBUG if self._quiet and not self._announced else logging.INFO
            self._log.log(level, "%s: connected to %s%s", self.title, peer, after)
        self._ended_ns, self._began_ns = now_ns, None
        self._new = self._announced = False

    def _due(self, now_ns: int, reason: str) -> bool:
        if self._logged_ns is None:
            self._reasons.add(reason)
            return True
        since_ns = now_ns - self._logged_ns
        if reason not in self._reasons and len(self._reasons) < _MOST_REASONS and since_ns >= _SECOND_NS:
            self._reasons.add(reason)
            return True
        if since_ns < self._interval_ns:
            return False
        self._interval_ns = min(2 * self._interval_ns, _LONGEST_INTERVAL_NS)
        return True
