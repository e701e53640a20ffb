"""Runs named steps one after the other, shows how long each takes, and remembers which failed."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fanlight.common.model.errors import FanlightError

_KIND_END_S = 60.0


class Steps:
    """The steps of one run, in order."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._results: list[tuple[str, bool, float]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step written in Python: failed if it raises a FanlightError, which ends here."""
        print(f"\n=== {name}", flush=True)
        began, passed = time.monotonic(), False
        try:
            yield
            passed = True
        except FanlightError as error:
            print(error, flush=True)
        finally:
            self._add(name, passed, time.monotonic() - began)

    def run(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        good: Sequence[int] = (0,),
    ) -> int:
        """A step that is a command; failed if its exit code is not a good one."""
        print(f"\n=== {name}", flush=True)
        began, code = time.monotonic(), -1
        try:
            code = _run(command, cwd, environment)
        finally:
            self._add(name, code in good, time.monotonic() - began)
        return code

    @contextmanager
    def beside(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        good: Sequence[int] = (0,),
    ) -> Iterator[None]:
        """A command that runs while others do; what it says is shown at its end, which is waited for."""
        began = time.monotonic()
        with tempfile.TemporaryFile("w+") as said:
            process = _start(command, cwd, environment, said)
            passed = False
            try:
                yield
                passed = process.wait() in good
            finally:
                _end(process)
                said.seek(0)
                print(f"\n=== {name} (beside the one before)\n{said.read()}", end="", flush=True)
                self._add(name, passed, time.monotonic() - began)

    def fail(self, name: str, reason: str) -> None:
        """Count a step that cannot be run at all as failed."""
        print(f"\n=== {name}\n{reason}", flush=True)
        self._add(name, passed=False, seconds=0.0)

    @property
    def failed(self) -> list[str]:
        return [name for name, passed, _ in self._results if not passed]

    def summary(self) -> str:
        rows = [
            f"  {'ok    ' if ok else 'FAILED'} {took:7.1f} s  {name}" for name, ok, took in self._results
        ]
        took = time.monotonic() - self._began
        verdict = f"FAILED: {', '.join(self.failed)}" if self.failed else f"all {len(rows)} steps passed"
        return "\n".join(["", "=== summary", *rows, f"{verdict}, in {took:.0f} s"])

    def _add(self, name: str, passed: bool, seconds: float) -> None:
        self._results.append((name, passed, seconds))
        print(f"--- {name}: {'ok' if passed else 'FAILED'} after {seconds:.1f} s", flush=True)


def _run(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str]) -> int:
    process = _start(command, cwd, environment)
    try:
        return process.wait()
    finally:
        _end(process)


def _start(
    command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str], output: IO[str] | None = None
) -> subprocess.Popen[bytes]:
    # A process group of its own: Ctrl-C reaches it once, through us. A second SIGINT, from the
    # terminal, would break off pytest while it takes down what its tests have started.
    return subprocess.Popen(
        command, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output,
        stderr=None if output is None else subprocess.STDOUT, process_group=0,
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    """Break it off, if it still runs."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_KIND_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
