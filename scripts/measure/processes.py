"""Starts and ends the processes of one run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from scripts.lib.instance import CHECKOUT

_END_S: Final = 8.0


class RunFailed(Exception):
    """A process of a run ended or stayed silent; says which, and its last line."""


class Fleet:
    """Starts processes and ends all of them, in the reverse order, on the way out.

    Args:
        logs: folder for what they print.
        environment: added to this process's own.

    Attributes:
        logs: the folder.
    """

    def __init__(self, logs: Path, environment: dict[str, str] | None = None) -> None:
        self.logs = logs
        self._environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})}
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start one process; its output goes to NAME.log."""
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append((name, process))
        return process

    def kill(self, name: str) -> None:
        """End one at once (SIGKILL), for good."""
        for started in [each for each in self._started if each[0] == name]:
            started[1].kill()
            started[1].wait()
            self._started.remove(started)

    def log(self, name: str) -> str:
        """All that NAME has printed."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def check(self) -> None:
        """Make sure that all still run.

        Raises:
            RunFailed: one does not.
        """
        for name, process in self._started:
            if process.poll() is not None:
                last = (self.log(name).strip().splitlines() or ["it printed nothing"])[-1]
                raise RunFailed(f"{name} ended with code {process.returncode}: {last}")

    def stop(self) -> None:
        """Interrupt all, then kill what is left."""
        for _, process in reversed(self._started):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _END_S
        for _, process in self._started:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._started.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def json_lines(log: str) -> list[dict[str, Any]]:
    """The objects that a process has printed, beside what it logs. The last line may not be complete."""
    return [json.loads(line) for line in log.split("\n")[:-1] if line.startswith("{")]


def wait_for(what: str, ready: Callable[[], bool], fleet: Fleet, timeout_s: float) -> None:
    """Call `ready` until it gives True.

    Raises:
        RunFailed: a process ended meanwhile, or time ran out.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        fleet.check()
        if time.monotonic() > deadline:
            raise RunFailed(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.1)
