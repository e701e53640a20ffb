"""Former names: the packages `producer`, `consumer` and `common` of a checkout, now parts of `fanlight`.

A program that still uses them finds its loggers under the former names too.
"""

from __future__ import annotations

import copy
import logging
import warnings

_NOW = "fanlight."


def warn_former_name(now: str) -> None:
    """Warn the caller's caller, which used a former name; `now` is what to write instead."""
    warnings.warn(f"write: {now}", DeprecationWarning, stacklevel=3)
    ours = logging.getLogger("fanlight")
    if not any(isinstance(each, _FormerLoggers) for each in ours.handlers):
        ours.addHandler(_FormerLoggers())
        ours.propagate = False


class _FormerLoggers(logging.Handler):
    """Hands each record to the logger that had it before: `common.x` for that of `fanlight.common.x`."""

    def emit(self, record: logging.LogRecord) -> None:
        former = copy.copy(record)
        former.name = record.name.removeprefix(_NOW)
        logger = logging.getLogger(former.name)
        if logger.isEnabledFor(former.levelno):
            logger.handle(former)
