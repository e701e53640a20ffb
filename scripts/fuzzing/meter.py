"""Counts the inputs of one run, and watches time and memory while they are read."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_SECONDS: Final = 1.0
MOST_GROWTH_MIB: Final = 64.0
_LOOK_EVERY: Final = 500


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run.

    Attributes:
        longest_s: processor time of one input at most; others may use the machine at the same time.
        growth_mib: of the resident memory, at its highest, since the run was warm.
    """

    target: str
    inputs: int
    seconds: float
    longest_s: float
    growth_mib: float

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.inputs} inputs in {self.seconds:.1f} s, "
            f"{self.inputs / max(self.seconds, 1e-9):.0f} a second, "
            f"longest {self.longest_s * 1000:.1f} ms, growth {self.growth_mib:.1f} MiB"
        )

    @property
    def broken(self) -> list[str]:
        """What did not hold."""
        wrong = []
        if self.longest_s > MOST_SECONDS:
            wrong.append(f"an input took {self.longest_s:.2f} s: allowed is {MOST_SECONDS:g} s")
        if self.growth_mib > MOST_GROWTH_MIB:
            wrong.append(f"memory grew by {self.growth_mib:.0f} MiB: allowed is {MOST_GROWTH_MIB:g} MiB")
        return wrong


class Meter:
    """Calls a function and measures it.

    Args:
        warm: inputs before memory counts.
        on_longest: given an input that took longer than all before, and more than a tenth of a second.
    """

    def __init__(
        self, target: str, run: Callable[[bytes], None], warm: int, on_longest: Callable[[bytes], None]
    ) -> None:
        self._target = target
        self._run = run
        self._warm = max(warm, _LOOK_EVERY)
        self._on_longest = on_longest
        self._began_s = time.monotonic()
        self._longest_s = 0.0
        self._base = self._peak = 0
        self.inputs = 0

    def __call__(self, data: bytes) -> None:
        began_s = time.thread_time()
        self._run(data)
        took_s = time.thread_time() - began_s
        if took_s > self._longest_s:
            self._longest_s = took_s
            if took_s > 0.1:
                self._on_longest(data)
        self.inputs += 1
        if self.inputs % _LOOK_EVERY == 0:
            self._look()

    def _look(self) -> None:
        # The kernel's own mark: what a single input took and gave back counts too.
        self._peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if self.inputs <= self._warm:
            self._base = self._peak

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began_s

    def figures(self) -> Figures:
        """As they stand."""
        self._look()
        growth = max(0, self._peak - self._base) / 2**20 if self._base else 0.0
        return Figures(self._target, self.inputs, self.seconds, self._longest_s, growth)
