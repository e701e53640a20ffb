"""The error that a thread reports to its owner when it ends unexpectedly."""

from __future__ import annotations

import contextlib
import logging

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.redact import without_secrets


def failure(log: logging.Logger, thread: str, error: Exception) -> FanlightError:
    """Return the error to report to the thread's owner; log an unexpected one with its traceback.

    Args:
        thread: name of the thread, with which the log line begins.
    """
    if isinstance(error, FanlightError):
        return error
    with contextlib.suppress(Exception):  # of a handler of the program, which may be what has failed
        log.error("%s: internal error", thread, exc_info=error)
    return FanlightError(f"{thread}: internal error: {without_secrets(repr(error))}")
