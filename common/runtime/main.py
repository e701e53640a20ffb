"""How a command ends: one line on stderr for every failure, and an exit code that scripts can trust."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from fanlight.common.clock import wall_ns
from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.runtime import logs
from fanlight.common.runtime import options as shell
from fanlight.common.runtime.argv import has_password, hide_passwords
from fanlight.common.runtime.logs import LogFormat
from fanlight.common.runtime.options import Operation
from fanlight.common.runtime.settings import OneLineParser, Option, add_flags, resolve

_LOG = logging.getLogger(__name__)

DONE = 0
FAILED = 1
UNUSABLE = 2
_STDERR = 2

_SEEN = (
    "a password on the command line can be read in the process list (hidden from now on, where the system "
    "allows it): better use FANLIGHT_PASSWORD, --password-file, or FANLIGHT_... for the whole URL"
)
_EPILOG = """\
Every setting also comes from the environment, under the name in brackets; flags win.
Exit codes: 0 done, 1 failed while running, 2 unusable arguments."""


class _Parser(OneLineParser):
    """Says what is wrong with a command line in the format that it asks for."""

    form = LogFormat.TEXT

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message and self.form is LogFormat.JSON:
            told = message.removeprefix(f"{self.prog}: ").rstrip("\n")
            message = logs.error_line(self.prog, self.form, told, created_s=wall_ns() / 1e9)
        super().exit(status, message)


def command_line(
    program: str,
    description: str,
    options: Sequence[Option],
    argv: Sequence[str] | None,
    body: Callable[[Mapping[str, Any], Operation], int | None],
) -> int:
    """Read the settings of a command and run its body with them; the exit code to leave with.

    Args:
        body: is handed the values of `options`, and how it is to be watched.
    """
    parser = _Parser(prog=program, description=description, epilog=_EPILOG)
    all_options = (*options, *shell.OPTIONS)
    add_flags(parser, all_options)
    told = sys.argv[1:] if argv is None else argv
    parser.form = logs.wanted(told, os.environ)
    flags = vars(parser.parse_args(told))
    seen = argv is None and has_password(told)
    if seen:
        hide_passwords()

    def run() -> int | None:
        if seen:
            _LOG.warning(_SEEN)
        values = resolve(all_options, flags, os.environ)
        # A crash in native code is no refusal: where it happened is said before the process is gone.
        faulthandler.enable(file=_STDERR, all_threads=False)
        return body(*shell.split(values))

    return run_command(program, run, parser.form)


def run_command(program: str, body: Callable[[], int | None], form: LogFormat = LogFormat.TEXT) -> int:
    """Run a command's body; the exit code to leave with.

    Returns:
        What the body returns, or else 0 done, 1 failed while running, 2 unusable arguments.
    """
    # A log line that cannot be written (closed pipe) is no reason to print a traceback.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logs.formatter(program, form))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if form is LogFormat.JSON:
        logs.hook_exceptions()
    # pika reports with tracebacks what the link says in one line.
    logging.getLogger("pika").setLevel(logging.CRITICAL + 1)
    try:
        code = body()
    except ConfigError as error:
        return _say(program, form, error, UNUSABLE)
    except FanlightError as error:
        return _say(program, form, error, FAILED)
    except KeyboardInterrupt:
        return DONE
    return DONE if code is None else code


def _say(program: str, form: LogFormat, error: Exception, code: int) -> int:
    sys.stderr.write(logs.error_line(program, form, str(error), created_s=wall_ns() / 1e9))
    return code
