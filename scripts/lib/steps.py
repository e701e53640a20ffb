"""Runs named steps, several at a time, shows how long each takes, and remembers which failed."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fanlight.common.model.errors import FanlightError

_INTERRUPT_S = 60.0
# What pytest prints while it runs; of use only where something failed.
_PROGRESS = re.compile(r"[.sxX]+ +\[ *\d+%\]\n")


@dataclass(frozen=True, slots=True)
class Step:
    """A step that has ended.

    Attributes:
        result: the last line of its output, e.g. pytest's counts; empty if it was not captured.
    """

    name: str
    passed: bool
    seconds: float
    result: str = ""


class Steps:
    """The steps of one run. Thread-safe.

    Args:
        cwd: where commands run.
        environment: of commands.
    """

    def __init__(self, cwd: Path, environment: Mapping[str, str]) -> None:
        self._cwd = cwd
        self._environment = dict(environment)
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._ended: list[Step] = []
        self._running: set[subprocess.Popen[bytes]] = set()
        self._interrupted = False

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step written in Python: failed if it raises a FanlightError, which ends here."""
        began, passed = time.monotonic(), False
        try:
            yield
            passed = True
        except FanlightError as error:
            print(error, flush=True)
        finally:
            self._end(Step(name, passed, time.monotonic() - began))

    def run(
        self,
        name: str,
        *command: str | Path,
        passing: Sequence[int] = (0,),
        capture: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> int | None:
        """A step that is a command; returns its exit code, None if the run was interrupted before.

        Args:
            passing: exit codes that are no failure.
            capture: show its output when it has ended, so that commands side by side do not mix theirs.
            variables: added to the environment.
        """
        began, code = time.monotonic(), None
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            try:
                code = self._command(command, variables or {}, output if capture else None)
            finally:
                output.seek(0)
                text = output.read().rstrip()
                result = text.rpartition("\n")[2].strip("= ") if text else ""
                self._end(Step(name, code in passing, time.monotonic() - began, result), text)
        return code

    def side_by_side(self, jobs: Sequence[Callable[[], object]], at_once: int) -> None:
        """Call all of them, in this order, so many at a time. They run steps of this object."""
        with ThreadPoolExecutor(at_once) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._interrupt()
                raise

    def fail(self, name: str, reason: str) -> None:
        """Count a step that cannot be run at all as failed."""
        self._end(Step(name, passed=False, seconds=0.0, result=reason))

    @property
    def failed(self) -> list[str]:
        return [step.name for step in self._ended if not step.passed]

    def summary(self) -> str:
        """How long each step took; those side by side overlap."""
        width = max(len(step.name) for step in self._ended)
        rows = [
            f"  {_state(step):6} {step.seconds:6.1f} s  {step.name:{width}}  {step.result}"
            for step in self._ended
        ]
        took = time.monotonic() - self._began
        verdict = f"FAILED: {', '.join(self.failed)}" if self.failed else f"all {len(rows)} steps passed"
        return "\n".join(["", "=== summary", *map(str.rstrip, rows), f"{verdict}, in {took:.0f} s"])

    def _end(self, step: Step, output: str = "") -> None:
        with self._lock:
            self._ended.append(step)
            if step.passed:
                output = _PROGRESS.sub("", output)
            text = f"\n=== {step.name}: {_state(step)} after {step.seconds:.1f} s\n{output or step.result}"
            print(text.rstrip(), flush=True)

    def _command(
        self, command: Sequence[str | Path], variables: Mapping[str, str], output: IO[str] | None
    ) -> int | None:
        with self._lock:
            if self._interrupted:
                return None
            # A process group of its own: Ctrl-C reaches it once, through us. A second SIGINT, from the
            # terminal, would break off pytest while it takes down what its tests have started.
            process = subprocess.Popen(
                command, cwd=self._cwd, env=self._environment | dict(variables), stdin=subprocess.DEVNULL,
                stdout=output, stderr=None if output is None else subprocess.STDOUT, process_group=0,
            )  # fmt: skip
            self._running.add(process)
        try:
            return process.wait()
        finally:
            _interrupt(process)
            with self._lock:
                self._running.discard(process)

    def _interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            running = list(self._running)
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def _state(step: Step) -> str:
    return "ok" if step.passed else "FAILED"


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End it, if it still runs; its tests take down what they started."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_INTERRUPT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
