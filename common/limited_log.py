"""A rate-limited logger: at most one line per interval."""

from __future__ import annotations

import logging

from fanlight.common.model.rate_limit import RateLimiter


class LimitedLog:
    """Logs messages that may recur many times a second. Not thread-safe."""

    def __init__(
        self, log: logging.Logger, interval_ns: int = 1_000_000_000, *, level: int = logging.WARNING
    ) -> None:
        self._log = log
        self._level = level
        self._limiter = RateLimiter(interval_ns)

    def warn(self, now_ns: int, message: str, *details: object) -> None:
        """Log the message with the number of those suppressed since the last line, or suppress it.

        Args:
            now_ns: monotonic time.
        """
        held_back = self._limiter.allow(now_ns)
        if held_back is not None:
            suffix = f" (and {held_back} more like it)" if held_back else ""
            self._log.log(self._level, message + "%s", *details, suffix)
