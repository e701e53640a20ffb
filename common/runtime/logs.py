"""What a log line looks like: text for people, or JSON for log collectors, one object per line."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType


class LogFormat(StrEnum):
    """The two ways to write a line."""

    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """One object: time (RFC 3339, UTC), level, program, logger, message, and exception if there is one."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        # Escaped beyond ASCII, lone surrogates of file names included: any encoding of the output will do.
        return json.dumps(fields)


def formatter(program: str, log_format: LogFormat) -> logging.Formatter:
    """What the root logger's handler writes with."""
    return (
        JsonFormatter(program)
        if log_format is LogFormat.JSON
        else logging.Formatter(f"{program}: %(message)s")
    )


def error_line(program: str, log_format: LogFormat, message: str) -> str:
    """The line that a command ends with, line break included."""
    record = logging.LogRecord(program, logging.ERROR, "", 0, message, (), None)
    return formatter(program, log_format).format(record) + "\n"


def requested_format(argv: Sequence[str], environment: Mapping[str, str]) -> LogFormat:
    """The format that a command line asks for, looked up before it is parsed: it may be wrong elsewhere.

    A value that cannot be used counts as text here, and is refused when it is read.
    """
    value = environment.get("FANLIGHT_LOG_FORMAT", "")
    for at, argument in enumerate(argv):
        flag, equals, text = argument.partition("=")
        if flag == "--log-format":
            value = text if equals else "".join(argv[at + 1 : at + 2])
    return LogFormat.JSON if value == LogFormat.JSON else LogFormat.TEXT


def log_uncaught_exceptions() -> None:
    """Log an uncaught exception as a record too, so that `JsonFormatter` writes it."""

    def log(error_type: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        info = (error_type, error, trace)
        logging.getLogger("python").critical("uncaught %s", error_type.__name__, exc_info=info)

    def log_of_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            log(failed.exc_type, failed.exc_value, failed.exc_traceback)

    sys.excepthook = log
    threading.excepthook = log_of_thread
