"""Imported first by both commands, so it imports next to nothing itself, not even `typing`.

From then on SIGINT, SIGTERM and SIGHUP end the process with code 0 and no traceback, whatever is being
imported, and the standard streams are open: without that, the next file or socket would become one of them.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

# SIGHUP: the terminal is closed, or the connection to it is.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `timeout` signals its child and then its process group: the child gets the same signal twice.
SAME_S = 0.5
_INSTALL = "install its packages, with Python 3.11 or newer: pip install -c constraints.txt"


class Stopping:
    """Whether a signal is the first one. Used by the main thread, or that of `StopSignals`."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def reset(self) -> None:
        """The next signal is the first one."""
        self._since_s = None

    def signalled(self, number: int, now_s: float) -> bool:
        """True for the first signal; ends the process at a later one, unless it is the same one again."""
        if self._since_s is None:
            self._since_s = now_s
            return True
        if now_s - self._since_s >= SAME_S:
            os._exit(128 + number)
        return False


stopping = Stopping()


def run(program: str, main: Callable[[], int], packages: str = ".") -> int:
    """Run a command, which `main` imports: a signal while modules are loaded is an orderly end, too.

    Args:
        packages: what pip is to install where a package is missing.

    Returns:
        The exit code.
    """
    prepare()
    from fanlight.common.runtime import argv

    argv.hide_secrets()
    try:
        return main()
    except ImportError as error:
        if (error.name or "").startswith("fanlight"):
            raise
        sys.stderr.write(f"{program}: {error}: {_INSTALL} {packages}\n")
        return 1


def handled() -> list[int]:
    """Those of `SIGNALS` that end this process: not a SIGHUP that `nohup` has it ignore."""
    return [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]


def prepare() -> None:
    """To be called in the main thread, at once."""
    # While Python shuts down it would restore the default handlers, which end the process with 128 + n.
    atexit.register(lambda: [signal.signal(number, signal.SIG_IGN) for number in handled()])
    for number in handled():
        signal.signal(number, _end)
    for descriptor, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if (sys.stdin, sys.stdout, sys.stderr)[descriptor] is None:
            name = ("stdin", "stdout", "stderr")[descriptor]
            stream = open(descriptor, mode, errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _end(number: int, _frame: object) -> None:
    # There is nothing to shut down yet, or `StopSignals` has done it.
    if stopping.signalled(number, time.monotonic()):
        os._exit(0)
