"""Runs named steps one after the other, shows how long each takes, and remembers which failed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from common.errors import FanlightError

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
    # A process group of its own: Ctrl-C reaches it once, through us. A second SIGINT, from the
    # terminal, would break off pytest while it takes down what its tests have started.
    process = subprocess.Popen(
        command, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, process_group=0
    )
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_KIND_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
