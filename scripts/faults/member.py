"""One process of a rig, through all its lives."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from fanlight.common.clock import monotonic_ns
from scripts.lib.fault_control import FaultControl
from scripts.lib.instance import CHECKOUT

_numbers = itertools.count(1)
_END_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Level:
    """What a process holds."""

    rss_mib: float
    threads: int
    descriptors: int


class Member:
    """A producer or a consumer that can be killed and comes back.

    Args:
        role: `producer` or `consumer`.
        flags: of its command line; a `{life}` in them becomes the number of its life.
        prefix: what to run it under (`ip netns exec ...`).
        on_line: called with each line that it writes, and with which of its lives.
    """

    def __init__(
        self,
        name: str,
        role: str,
        stream: str,
        flags: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
        on_line: Callable[[str, str, int], None],
    ) -> None:
        self.name = name
        self.role = role
        self.stream = stream
        control = folder / f"{name}.control"
        self.control = FaultControl(control)
        self.lives = 0
        self.number = 0
        self._flags = flags
        self._folder = folder
        self._prefix = prefix
        self._environment = {**os.environ, **environment, "SOAK_CONTROL": str(control)}
        self._on_line = on_line
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.last_lines: list[str] = []

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        self.lives += 1
        self.number = next(_numbers)
        flags = [flag.replace("{life}", str(self.lives)) for flag in self._flags]
        command = [sys.executable, "-m", "scripts.faults.instrumented", self.role, *flags]
        self._process = subprocess.Popen(
            [*self._prefix, *command],
            cwd=CHECKOUT,
            env={**self._environment, "SOAK_MEMBER": str(self.number)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(
            target=self._read,
            args=(self._process.stderr, f"{self.name} {self.lives}"),
            name=f"lines of {self.name}",
            daemon=True,
        )
        self._reader.start()

    def kill(self) -> None:
        """SIGKILL; its descriptors are closed by the kernel."""
        self.signal(signal.SIGKILL)
        self._collect()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self) -> int:
        """SIGTERM; the exit code, or that of the SIGKILL that had to follow."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._collect()

    def close(self) -> None:
        self.control.close()

    def limit_descriptors(self, spare: int | None) -> None:
        """Let it have so many more than it has now; None lets it have as many as before."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        # A new descriptor gets the lowest free number, and only its number is limited.
        soft = min(hard, 1024) if spare is None else self._highest_descriptor() + 1 + spare
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (soft, hard))

    def _highest_descriptor(self) -> int:
        return max(int(entry) for entry in os.listdir(f"/proc/{self.pid}/fd"))

    def level(self) -> Level:
        process = psutil.Process(self.pid)
        with process.oneshot():
            return Level(process.memory_info().rss / 2**20, process.num_threads(), process.num_fds())

    def _collect(self) -> int:
        assert self._process is not None
        assert self._reader is not None
        code = self._process.wait()
        self._reader.join()
        return code

    def _read(self, pipe: IO[str], life: str) -> None:
        with pipe:
            for text in pipe:
                self.last_lines = [*self.last_lines[-9:], text.rstrip("\n")]
                self._on_line(life, text.rstrip("\n"), monotonic_ns())
