"""How a command ends: one line on stderr for every failure, and an exit code that scripts can trust."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.errors import ConfigError, FanlightError
from common.settings import OneLineParser, Option, add_flags, resolve
from common.shell.argv import has_password, hide_passwords

_LOG = logging.getLogger(__name__)

DONE = 0
FAILED = 1
UNUSABLE = 2

_SEEN = (
    "a password on the command line can be read in the process list (hidden from now on, where the system "
    "allows it): better use FANLIGHT_PASSWORD, --password-file, or FANLIGHT_... for the whole URL"
)
_EPILOG = """\
Every setting also comes from the environment, under the name in brackets; flags win.
Exit codes: 0 done, 1 failed while running, 2 unusable arguments."""


def command_line(
    program: str,
    description: str,
    options: Sequence[Option],
    argv: Sequence[str] | None,
    body: Callable[[Mapping[str, Any]], None],
) -> int:
    """Read the settings of a command and run its body with them; the exit code to leave with."""
    parser = OneLineParser(prog=program, description=description, epilog=_EPILOG)
    add_flags(parser, options)
    told = sys.argv[1:] if argv is None else argv
    flags = vars(parser.parse_args(told))
    seen = argv is None and has_password(told)
    if seen:
        hide_passwords()

    def run() -> None:
        if seen:
            _LOG.warning(_SEEN)
        body(resolve(options, flags, os.environ))

    return run_command(program, run)


def run_command(program: str, body: Callable[[], None]) -> int:
    """Run a command's body; the exit code to leave with.

    Returns:
        0 done, 1 failed while running, 2 unusable arguments.
    """
    # A log line that cannot be written (closed pipe) is no reason to print a traceback.
    logging.raiseExceptions = False
    logging.basicConfig(format=f"{program}: %(message)s", level=logging.INFO, stream=sys.stderr)
    # pika reports with tracebacks what the link says in one line.
    logging.getLogger("pika").setLevel(logging.CRITICAL + 1)
    try:
        body()
    except ConfigError as error:
        return _say(program, error, UNUSABLE)
    except FanlightError as error:
        return _say(program, error, FAILED)
    except KeyboardInterrupt:
        return DONE
    return DONE


def _say(program: str, error: Exception, code: int) -> int:
    sys.stderr.write(f"{program}: {error}\n")
    return code
