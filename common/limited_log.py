"""One log line a second, however often its cause occurs."""

from __future__ import annotations

import logging

from fanlight.common.model.rate_limit import RateLimiter


class LimitedLog:
    """Lines that may repeat many times a second. Belongs to one thread."""

    def __init__(
        self, log: logging.Logger, interval_ns: int = 1_000_000_000, *, level: int = logging.WARNING
    ) -> None:
        self._log = log
        self._level = level
        self._limiter = RateLimiter(interval_ns)

    def warn(self, now_ns: int, message: str, *details: object) -> None:
        """Log it, with the number of those held back since the last line; or hold it back.

        Args:
            now_ns: monotonic.
        """
        held_back = self._limiter.allow(now_ns)
        if held_back is not None:
            suffix = f" (and {held_back} more like it)" if held_back else ""
            self._log.log(self._level, message + "%s", *details, suffix)
