"""How a command ends: one line on stderr for every failure, and an exit code that scripts can trust."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from common.errors import ConfigError, FanlightError

DONE = 0
FAILED = 1
UNUSABLE = 2


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
