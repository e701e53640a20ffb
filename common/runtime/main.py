"""Start and end of a command: one line on stderr for every error, and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import os
import re
import select
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, Protocol, TypeVar

import fanlight
from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.model.reasons import reason
from fanlight.common.model.redact import without_secrets
from fanlight.common.runtime import logs
from fanlight.common.runtime.argv import hide_secrets
from fanlight.common.runtime.credential_files import CredentialFiles
from fanlight.common.runtime.live_line import LogHandler
from fanlight.common.runtime.logs import LogFormat
from fanlight.common.runtime.options import OptionGroup, add_flags
from fanlight.common.runtime.output import unblocked_output
from fanlight.common.runtime.settings import Operation

_LOG = logging.getLogger(__name__)

G = TypeVar("G", bound=OptionGroup)

DONE: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2
_STDERR: Final = 2

# The value of a flag that does not exist may be a secret: `--password`.
_VALUE: Final = re.compile(r"((?:^|\s)--?\w[\w-]*[=\s])(?!-)\S+")
_EPILOG: Final = """\
examples:
{examples}

Every setting also comes from the environment, under the name in brackets; flags win.
Exit codes: 0 done, 1 failed while running, 2 unusable arguments."""


class Load(Protocol):
    """Returns the values of a command line as an instance of the class that declares the options."""

    def __call__(self, group: type[G]) -> G: ...


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text before them.

    Flags cannot be abbreviated: an abbreviation that is unique now may be ambiguous in a later version.

    Args:
        prog: begins the line.
        called: how the user calls the command; by default as this process was called.
    """

    log_format = LogFormat.TEXT

    def __init__(self, *, prog: str, called: str | None = None, **options: Any) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(
            prog=called or invocation(prog), allow_abbrev=False, formatter_class=layout, **options
        )
        self._program = prog

    def error(self, message: str) -> NoReturn:
        text = without_secrets(" ".join(message.split()))
        if text.startswith("unrecognized"):
            text = _VALUE.sub(r"\1***", text)
        text = f"{text} (see {self.prog} --help)"
        self.exit(UNUSABLE, logs.error_line(self._program, self.log_format, text))


def invocation(program: str) -> str:
    """How the user called this command, so that `--help` after it works."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name != "fanlight":
        return f"{sys.orig_argv[0]} -m {spec.name.removesuffix('.__main__')}"
    return sys.argv[0] or program


def command_line(
    program: str,
    description: str,
    groups: Sequence[type[OptionGroup]],
    argv: Sequence[str] | None,
    body: Callable[[Load], int | None],
    *,
    examples: Sequence[str] = (),
) -> int:
    """Parse a command line, run the command's body, and return the exit code.

    Args:
        groups: option groups of the command; `CredentialFiles` and `Operation` are added.
        body: called with the function that loads the settings.
        examples: arguments, each with a comment, for `--help`.
    """
    called = invocation(program) if argv is None else program
    shown = "\n".join(f"  {called} {example}" for example in examples)
    parser = OneLineParser(
        prog=program, called=called, description=description, epilog=_EPILOG.format(examples=shown)
    )
    parser.add_argument("--version", action="version", version=f"Fanlight {fanlight.__version__}")
    add_flags(parser, *groups, CredentialFiles, Operation)
    arguments = sys.argv[1:] if argv is None else argv
    parser.log_format = logs.requested_format(arguments, os.environ)
    exposed = hide_secrets() if argv is None else None

    def run() -> int | None:
        flags = vars(parser.parse_args(arguments))
        if exposed is not None:
            _LOG.warning(exposed)

        def load(group: type[G]) -> G:
            return group.load(flags, os.environ)

        # For crashes in native code, which raise no exception: writes the Python stacks to stderr. Of all
        # threads: that of a codec, which may be the one that crashes, has none.
        faulthandler.enable(file=_STDERR)
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
    handler = LogHandler(sys.stderr)
    handler.setFormatter(logs.formatter(program, log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logs.log_uncaught_exceptions()
    # pika logs tracebacks for errors that the link logs in one line.
    logging.getLogger("pika").setLevel(logging.CRITICAL + 1)
    try:
        code = _with_output(body)
    except FanlightError as error:
        with contextlib.suppress(OSError):  # nobody reads stderr
            sys.stderr.write(logs.error_line(program, log_format, str(error)))
        return UNUSABLE if isinstance(error, ConfigError) else FAILED
    except KeyboardInterrupt:
        return DONE
    return DONE if code is None else code


def _with_output(body: Callable[[], int | None]) -> int | None:
    """Run it, and write what stdout still buffers: an error at the end of Python would be a traceback.

    A reader that has gone (`| head -1`) has all it wants: the command is done.
    """
    try:
        return body()
    except BrokenPipeError:
        if not _unread():
            raise
        return DONE
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            # The rest would be flushed at exit and raise there again.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
            if not isinstance(error, BrokenPipeError):
                raise FanlightError(f"standard output cannot be written: {reason(error)}") from None


def _unread() -> bool:
    """Whether nobody reads stdout any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))
