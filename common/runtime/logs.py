"""The format of log lines: text, or one JSON object per line for log collectors."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Any

from fanlight.common.model.redact import without_secrets


class LogFormat(StrEnum):
    """The two ways to write a line."""

    TEXT = "text"
    JSON = "json"


class TextFormatter(logging.Formatter):
    """One line, and the traceback of an exception. Its texts are those of any library: without secrets."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - as in logging
        return without_secrets(super().formatException(ei))


class JsonFormatter(TextFormatter):
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
        # ASCII only, with lone surrogates of file names escaped: valid in any encoding of the output.
        return json.dumps(fields)


def formatter(program: str, log_format: LogFormat) -> logging.Formatter:
    """The formatter of the root logger's handler."""
    return (
        JsonFormatter(program) if log_format is LogFormat.JSON else TextFormatter(f"{program}: %(message)s")
    )


def error_line(program: str, log_format: LogFormat, message: str) -> str:
    """The last line of a command that failed, including the line break."""
    record = logging.LogRecord(program, logging.ERROR, "", 0, message, (), None)
    return formatter(program, log_format).format(record) + "\n"


def requested_format(argv: Sequence[str], environment: Mapping[str, str]) -> LogFormat:
    """The requested log format, determined before parsing, since parsing may fail and log an error.

    An invalid value counts as text here and is rejected by the parser.
    """
    value = environment.get("FANLIGHT_LOG_FORMAT", "")
    for at, argument in enumerate(argv):
        flag, equals, text = argument.partition("=")
        if flag == "--log-format":
            value = text if equals else "".join(argv[at + 1 : at + 2])
    return LogFormat.JSON if value == LogFormat.JSON else LogFormat.TEXT


def log_uncaught_exceptions() -> None:
    """Log an uncaught exception as a record too, so that the formatter writes it."""

    def log(error_type: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        info = (error_type, error, trace)
        logging.getLogger("python").critical("uncaught %s", error_type.__name__, exc_info=info)

    def log_of_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            log(failed.exc_type, failed.exc_value, failed.exc_traceback)

    sys.excepthook = log
    threading.excepthook = log_of_thread
