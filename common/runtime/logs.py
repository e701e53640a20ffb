"""What a log line looks like: text for people, or JSON, one object a line, for whoever collects logs."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Final


class LogFormat(StrEnum):
    """The two ways to write a line."""

    TEXT = "text"
    JSON = "json"


_FLAG: Final = "--log-format"
_VARIABLE: Final = "FANLIGHT_LOG_FORMAT"


class JsonFormatter(logging.Formatter):
    """One object: time (RFC 3339, UTC), level, program, logger, message, and exception if there is one."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        message, failure = record.getMessage(), None
        if record.exc_info:
            failure = self.formatException(record.exc_info)
        return json_line(
            self._program,
            record.levelname,
            record.name,
            message,
            created_s=record.created,
            exception=failure,
        )


def json_line(
    program: str,
    level: str,
    logger: str,
    message: str,
    *,
    created_s: float,
    exception: str | None = None,
) -> str:
    """One line of JSON, without a line break at its end.

    Args:
        created_s: Unix time.
    """
    fields: dict[str, object] = {
        "time": datetime.fromtimestamp(created_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        "level": level.lower(),
        "program": program,
        "logger": logger,
        "message": message,
    }
    if exception is not None:
        fields["exception"] = exception
    # Escaped beyond ASCII, lone surrogates of file names included: any encoding of the output will do.
    return json.dumps(fields)


def formatter(program: str, form: LogFormat) -> logging.Formatter:
    """What the root logger's handler writes with."""
    if form is LogFormat.JSON:
        return JsonFormatter(program)
    return logging.Formatter(f"{program}: %(message)s")


def error_line(program: str, form: LogFormat, message: str, *, created_s: float) -> str:
    """The line that a command leaves with, line break included."""
    if form is LogFormat.JSON:
        return json_line(program, "error", program, message, created_s=created_s) + "\n"
    return f"{program}: {message}\n"


def wanted(argv: Sequence[str], environment: Mapping[str, str]) -> LogFormat:
    """The format that a command line asks for, looked up before it is read: it may be wrong elsewhere.

    What cannot be used is text here, and refused when it is read.
    """
    told = environment.get(_VARIABLE, "")
    for at, argument in enumerate(argv):
        flag, equals, value = argument.partition("=")
        if flag == _FLAG:
            told = value if equals else "".join(argv[at + 1 : at + 2])
    return LogFormat.JSON if told == LogFormat.JSON else LogFormat.TEXT


def hook_exceptions() -> None:
    """What nobody caught becomes one record too, for `JsonFormatter` to write."""

    def log(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logging.getLogger("python").critical("uncaught %s", kind.__name__, exc_info=(kind, error, trace))

    def log_in_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            log(failed.exc_type, failed.exc_value, failed.exc_traceback)

    sys.excepthook = log
    threading.excepthook = log_in_thread
