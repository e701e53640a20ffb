"""Runs `python -m producer` and `python -m consumer` as a user would: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.timing import scaled
from tests.support.users import as_nobody, environment_of_others, python_of_others

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a command wrote, and when it was read (monotonic)."""

    at_s: float
    text: str


class Output:
    """The lines of one pipe, read by a thread of its own so that the command never waits for us."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe
        self._changed = threading.Condition()
        self._lines: list[Line] = []
        self._closed = False
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    @property
    def lines(self) -> list[Line]:
        with self._changed:
            return list(self._lines)

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def wait_for(self, wanted: Callable[[str], bool], timeout_s: float) -> Line | None:
        """The first line that is `wanted`; None if there is none in time, or none will come."""

        def found() -> Line | None:
            return next((line for line in self._lines if wanted(line.text)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._closed, timeout_s)
            return found()

    def join(self) -> None:
        """Wait for the end of the pipe."""
        self._thread.join(scaled(5))
        self._pipe.close()

    def _read(self) -> None:
        for text in self._pipe:
            with self._changed:
                self._lines.append(Line(time.monotonic(), text.rstrip("\n")))
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Command:
    """A running command. Its exit code is read by `wait`, its lines from `out` and `err`."""

    def __init__(
        self,
        program: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        **user: Any,
    ) -> None:
        self.program = program
        self.process = subprocess.Popen(
            [python_of_others() if user else sys.executable, "-m", program, *arguments],
            cwd=ROOT,
            env=clean_environment() | (environment_of_others() if user else {}) | dict(environment),
            **user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = Output(self.process.stdout)
        self.err = Output(self.process.stderr)

    def wait_line(self, part: str, timeout_s: float = 30.0) -> Line:
        """Wait for a line on stderr that contains `part`. `timeout_s` is scaled."""
        line = self.err.wait_for(lambda text: part in text, scaled(timeout_s))
        if line is None:
            raise AssertionError(f"{self.program} never logged {part!r}; it logged:\n{self.err.text}")
        return line

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait for the end and return the exit code. `timeout_s` is scaled."""
        try:
            code = self.process.wait(scaled(timeout_s))
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.program} still runs after {scaled(timeout_s):g} s; it logged:\n{self.err.text}"
            ) from None
        self.out.join()
        self.err.join()
        return code

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        """Kill it if it still runs; also if it is suspended."""
        self.process.kill()
        self.process.wait(scaled(10))
        self.out.join()
        self.err.join()


def at_most_one_a_second(times_s: Sequence[float]) -> bool:
    """Whether a rate limit of one line per second allows lines at these times.

    Judged by their number: a line may be written later than it was allowed, and the next one is not.
    """
    return not times_s or len(times_s) <= times_s[-1] - times_s[0] + 2


def clean_environment() -> dict[str, str]:
    """Ours, without what would change the commands' defaults or open a window."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY") and not name.startswith("FANLIGHT_")
    }


@contextmanager
def running(
    program: str, *arguments: str, environment: Mapping[str, str] | None = None, nobody: bool = False
) -> Iterator[Command]:
    """Start `python -m program`, for the user nobody on request; it is gone at the end, in any case."""
    command = Command(program, arguments, environment or {}, **as_nobody() if nobody else {})
    try:
        yield command
    finally:
        command.end()


def run_script(
    *command: str, timeout_s: float = 60.0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python SCRIPT ARGUMENTS...` of this checkout to its end. `timeout_s` is scaled."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=clean_environment() | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(timeout_s),
        check=False,
    )


def run(
    program: str, *arguments: str, environment: Mapping[str, str] | None = None, nobody: bool = False
) -> tuple[int, Command]:
    """Run a command that ends by itself, and return its exit code and what it wrote."""
    with running(program, *arguments, environment=environment, nobody=nobody) as command:
        return command.wait(), command
