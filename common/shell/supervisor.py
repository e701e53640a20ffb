"""Starts a command again when native code under it has crashed: a process beside it that does nothing else.

Run as a program of its own, by its path and with the standard library alone, so that it stays small
(`take_over` replaces the command's process by it):

    supervisor.py PROGRAM COMMAND...

The command gets a process group of its own: what a terminal or an operator sends to ours reaches it once,
through us.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn

FLAG: Final = "--supervise"
VARIABLE: Final = "FANLIGHT_SUPERVISE"

CRASHES: Final = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS)
)
_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_HEARD: Final = (*_PASSED_ON, signal.SIGTSTP, signal.SIGCHLD)
_UP_AFTER_S: Final = 1.0
# After so long it was no crash at the start: the next delay is the first one again.
_STEADY_AFTER_S: Final = 60.0
_FIRST_S, _FACTOR, _CAP_S = 0.5, 2.0, 30.0
# A command ends within 2 s. One that is stuck in native code hears nothing any more.
_KILL_AFTER_S: Final = 3.0
_PR_SET_PDEATHSIG: Final = 1


def take_over(program: str, environment: Mapping[str, str]) -> NoReturn:
    """Go on as the supervisor of the same command line, without the switch."""
    command = [part for part in sys.orig_argv[1:] if part != FLAG]
    # -P and -S: neither this folder nor installed packages; they would only cost memory.
    this = [sys.executable, "-P", "-S", __file__, program, sys.executable, *command]
    os.execve(sys.executable, this, {**environment, VARIABLE: "0"})  # noqa: S606 - no shell is wanted


def again(number: int) -> bool:
    """Whether a command that was ended by this signal is started again.

    After SIGKILL too: it is what the kernel sends when memory is short.
    """
    return number in CRASHES or number == signal.SIGKILL


def reason(number: int, ran_s: float) -> str:
    """Why it ended, in words."""
    if number == signal.SIGKILL:
        return f"was killed after {ran_s:.1f} s, by the kernel for want of memory or by somebody (SIGKILL)"
    name = signal.Signals(number).name
    return f"crashed after {ran_s:.1f} s: {name} in native code, most likely a codec's"


def exit_code(status: int) -> int:
    """What a shell would show for a process that ended so."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


class Supervisor:
    """Runs one command until it ends by itself, or is told to. Of the main thread; there is no other.

    Args:
        program: how it is called in what is said.
        command: the interpreter and its arguments.
    """

    def __init__(self, program: str, command: Sequence[str]) -> None:
        self._program = program
        self._command = list(command)
        self._child = 0
        self._stopping = False
        self._kill_at_s: float | None = None

    def run(self) -> int:
        """Returns the exit code of the command."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        delays: Iterator[float] | None = None
        while True:
            began_s = time.monotonic()
            self._child = self._start()
            status = self._watch(began_s + _UP_AFTER_S if delays is not None else None)
            ran_s = time.monotonic() - began_s
            if self._stopping or not os.WIFSIGNALED(status) or not again(os.WTERMSIG(status)):
                return exit_code(status)
            if delays is None or ran_s >= _STEADY_AFTER_S:
                delays = _delays()
            delay_s = next(delays)
            self._say(f"{reason(os.WTERMSIG(status), ran_s)}; starting again in {delay_s:.1f} s")
            if self._told_to_end(delay_s):
                return exit_code(status)

    def _start(self) -> int:
        ours = os.getpid()
        child = os.fork()
        if child:
            return child
        try:
            os.setpgid(0, 0)
            _end_with_parent(ours)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            os.execv(self._command[0], self._command)  # noqa: S606 - likewise
        except OSError as error:
            self._say(f"cannot be started: {error.strerror}")
        finally:
            os._exit(1)

    def _watch(self, up_at_s: float | None) -> int:
        """Pass on signals until the command has ended; its status."""
        while True:
            moments = [moment for moment in (up_at_s, self._kill_at_s) if moment is not None]
            number = _heard(min(moments) - time.monotonic() if moments else None)
            ended, status = os.waitpid(self._child, os.WNOHANG)
            if ended:
                return status
            now_s = time.monotonic()
            if up_at_s is not None and now_s >= up_at_s:
                up_at_s = None
                self._say(f"is up again (process {self._child})")
            if self._kill_at_s is not None and now_s >= self._kill_at_s:
                self._kill_at_s = None
                self._say(f"did not end within {_KILL_AFTER_S:g} s: killed")
                os.kill(self._child, signal.SIGKILL)
            if number == signal.SIGTSTP:
                os.kill(self._child, signal.SIGSTOP)
                os.kill(os.getpid(), signal.SIGSTOP)
                os.kill(self._child, signal.SIGCONT)
            elif number in _PASSED_ON:
                os.kill(self._child, number)
                if not self._stopping:
                    self._stopping, self._kill_at_s = True, now_s + _KILL_AFTER_S

    def _told_to_end(self, delay_s: float) -> bool:
        """Wait so long; True if it is to end instead of going on."""
        until_s = time.monotonic() + delay_s
        while (left_s := until_s - time.monotonic()) > 0:
            if _heard(left_s) in _PASSED_ON:
                return True
        return False

    def _say(self, text: str) -> None:
        try:
            sys.stderr.write(f"{self._program}: {text}\n")
            sys.stderr.flush()
        except OSError:
            return  # a closed pipe is no reason to end


def _heard(timeout_s: float | None) -> int:
    """The next signal; 0 if none came in time."""
    if timeout_s is None:
        return signal.sigwaitinfo(_HEARD).si_signo
    told = signal.sigtimedwait(_HEARD, max(0.0, timeout_s))
    return 0 if told is None else told.si_signo


def _end_with_parent(parent: int) -> None:
    """In the child: the kernel ends it when the supervisor is gone, however that ended."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGTERM)


def _delays() -> Iterator[float]:
    # Imported by the first crash: `random` alone is a third of this process.
    import random

    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if root not in sys.path:
        sys.path.append(root)
    from common.retry import backoff

    # Jitter only: nothing here is a secret.
    return backoff(random.Random(), first_s=_FIRST_S, factor=_FACTOR, cap_s=_CAP_S)  # noqa: S311


if __name__ == "__main__":
    sys.exit(Supervisor(sys.argv[1], sys.argv[2:]).run())
