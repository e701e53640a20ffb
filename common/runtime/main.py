"""Start and end of a command: one line on stderr for every error, and an exit code."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, Protocol, TypeVar

from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.model.redact import without_secrets
from fanlight.common.runtime import logs
from fanlight.common.runtime.argv import has_secret, hide_secrets
from fanlight.common.runtime.credential_files import CredentialFiles
from fanlight.common.runtime.logs import LogFormat
from fanlight.common.runtime.options import OptionGroup, add_flags, options_of
from fanlight.common.runtime.output import unblocked_output
from fanlight.common.runtime.settings import Operation

_LOG = logging.getLogger(__name__)

G = TypeVar("G", bound=OptionGroup)

DONE: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2
_STDERR: Final = 2

_ON_COMMAND_LINE: Final = (
    "a password on the command line can be read in the process list (hidden from now on, where the "
    "system allows it): better use FANLIGHT_PASSWORD, --password-file, or FANLIGHT_... for the whole URL"
)
_EPILOG: Final = """\
Every setting also comes from the environment, under the name in brackets; flags win.
Exit codes: 0 done, 1 failed while running, 2 unusable arguments."""


class Load(Protocol):
    """Returns the values of a command line as an instance of the class that declares the options."""

    def __call__(self, group: type[G]) -> G: ...


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text before them.

    Flags cannot be abbreviated: an abbreviation that is unique now may be ambiguous in a later version.
    """

    log_format = LogFormat.TEXT

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        text = f"{without_secrets(' '.join(message.split()))} (see {self.prog} --help)"
        self.exit(UNUSABLE, logs.error_line(self.prog, self.log_format, text))


def command_line(
    program: str,
    description: str,
    groups: Sequence[type[OptionGroup]],
    argv: Sequence[str] | None,
    body: Callable[[Load], int | None],
) -> int:
    """Parse a command line, run the command's body, and return the exit code.

    Args:
        groups: option groups of the command; `CredentialFiles` and `Operation` are added.
        body: called with the function that loads the settings.
    """
    parser = OneLineParser(prog=program, description=description, epilog=_EPILOG)
    add_flags(parser, options_of(*groups, CredentialFiles, Operation))
    arguments = sys.argv[1:] if argv is None else argv
    parser.log_format = logs.requested_format(arguments, os.environ)
    flags = vars(parser.parse_args(arguments))
    visible = argv is None and has_secret(arguments)
    if visible:
        hide_secrets()

    def load(group: type[G]) -> G:
        return group.load(flags, os.environ)

    def run() -> int | None:
        if visible:
            _LOG.warning(_ON_COMMAND_LINE)
        # For crashes in native code, which raise no exception: writes the Python stack to stderr.
        faulthandler.enable(file=_STDERR, all_threads=False)
        return body(load)

    return run_command(program, run, parser.log_format)


def run_command(
    program: str, body: Callable[[], int | None], log_format: LogFormat = LogFormat.TEXT
) -> int:
    """Run a command's body and return the exit code.

    Returns:
        The body's return value if not None, else 0 done, 1 failed while running, 2 unusable arguments.
    """
    with unblocked_output():
        return _run_command(program, body, log_format)


def _run_command(program: str, body: Callable[[], int | None], log_format: LogFormat) -> int:
    # Do not print a traceback when a log line cannot be written (closed pipe).
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logs.formatter(program, log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if log_format is LogFormat.JSON:
        logs.log_uncaught_exceptions()
    # pika logs tracebacks for errors that the link logs in one line.
    logging.getLogger("pika").setLevel(logging.CRITICAL + 1)
    try:
        code = body()
    except FanlightError as error:
        sys.stderr.write(logs.error_line(program, log_format, str(error)))
        return UNUSABLE if isinstance(error, ConfigError) else FAILED
    except KeyboardInterrupt:
        return DONE
    return DONE if code is None else code
