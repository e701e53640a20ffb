"""What a thread of ours ends with when something fails in it."""

from __future__ import annotations

import logging

from fanlight.common.model.errors import FanlightError


def failure(log: logging.Logger, thread: str, error: Exception) -> FanlightError:
    """The error to give to the thread's owner; one that nobody expected is logged with its traceback.

    Args:
        thread: the name that begins the log line.
    """
    if isinstance(error, FanlightError):
        return error
    log.error("%s: internal error", thread, exc_info=error)
    return FanlightError(f"{thread}: internal error: {error!r}")
