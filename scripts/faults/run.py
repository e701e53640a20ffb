"""One run: faults one after the other, each watched until fresh frames have come again everywhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

from fanlight.common.clock import monotonic_ns
from scripts.faults.kinds import Fault, drawn, hold
from scripts.faults.member import Level
from scripts.faults.rig import Rig
from scripts.private_node import NodeError

_BEGIN_S: Final = 60.0
_CALM_S: Final = (0.3, 1.2)
# A consumer that presents is never silent for so long between two faults.
_SILENCE_NS: Final = 1_500_000_000
# What is awaited beyond the limit, so that one that is late does not hide all that comes after it.
_PATIENCE_S: Final = 30.0
_SETTLE_S: Final = 45.0
_END_S: Final = 2.0
_TOLD_EVERY: Final = 50
# Levels: what a process may hold more than after its warm-up.
_MORE_MIB: Final = 24.0
_MORE_DESCRIPTORS: Final = 4
_MORE_THREADS: Final = 1

Show = Callable[[str], None]


@dataclass
class Result:
    """What came out; what `report` reads.

    Attributes:
        recoveries: seconds from the end of a fault to the first fresh frame at the last consumer, by kind.
        broken: what must not be, in words; `kinds` how often of each kind.
        levels: first and last level of each process: MiB, threads, descriptors.
    """

    seed: int
    minutes: float
    broker: str = ""
    faults: int = 0
    frames: int = 0
    oldest_ms: float = 0.0
    seconds: float = 0.0
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    levels: dict[str, list[list[float]]] = field(default_factory=dict)
    broker_levels: list[list[int]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def usable(rig: Rig, faults: tuple[Fault, ...]) -> tuple[list[Fault], list[str]]:
    """What this rig can do, and the names of what it cannot."""
    there = {"": True, "network": rig.network is not None, "disk": rig.disk.mounted}
    return [f for f in faults if there[f.needs]], [f.name for f in faults if not there[f.needs]]


def sequence(faults: list[Fault], rng: random.Random, cycles: int | None) -> Iterator[Fault]:
    """Drawn at random, but each once first; or `cycles` rounds of them."""
    if cycles is not None:
        for _ in range(cycles):
            yield from faults
        return
    yield from rng.sample(faults, len(faults))
    while True:
        yield drawn(rng, faults)


class Run:
    """Drives a rig that has been started."""

    def __init__(
        self, rig: Rig, result: Result, show: Show, log: Show, *, scale: float, brisk: bool
    ) -> None:
        self._log = log
        self._rig = rig
        self._result = result
        self._show = show
        self._scale = scale
        self._brisk = brisk

    def begin(self) -> None:
        """Wait until frames come everywhere, and take down what everybody holds then."""
        rig = self._rig
        if rig.wait_fresh(monotonic_ns(), _BEGIN_S) is None:
            raise NodeError(
                f"no frames at {', '.join(rig.stale_members(1))} within {_BEGIN_S:g} s of the start"
            )
        time.sleep(3.0)
        self.note_levels()

    def faults(self, sequence: Iterator[Fault], end_s: float) -> None:
        """Run them until the time is over (monotonic) or there are no more."""
        for fault in sequence:
            if time.monotonic() >= end_s:
                return
            self._one(fault)
            if self._result.faults % _TOLD_EVERY == 0:
                self.note_levels()
                self._show(f"{self._result.faults} faults, {self._rig.judge.frames} frames")

    def settle(self) -> None:
        """Wait until everybody holds what it held at the beginning; what does not is a leak."""
        rig = self._rig
        deadline_s = time.monotonic() + _SETTLE_S
        while (leaks := self._leaks()) and time.monotonic() < deadline_s:
            time.sleep(1.0)
        for leak in leaks:
            rig.judge.fault("leak", leak)
        self.note_levels()

    def end(self) -> None:
        """End every process, and look at how it does."""
        rig = self._rig
        for name, code, took_s in rig.end_all():
            if code != 0:
                rig.judge.fault(
                    "exit code", f"{name} ended with {code}: {rig.members[name].last_lines[-1:]}"
                )
            if took_s > _END_S * self._scale:
                rig.judge.fault("slow end", f"{name} took {took_s:.1f} s to end")
        result, judge = self._result, rig.judge
        result.frames, result.oldest_ms = judge.frames, judge.oldest_ns / 1e6
        result.broken, result.kinds = judge.broken, dict(judge.kinds)

    def note_levels(self) -> None:
        for name, level in self._rig.levels().items():
            self._result.levels.setdefault(name, []).append(list(map(float, asdict(level).values())))
        self._result.broker_levels.append(list(self._rig.broker_level()))

    def _one(self, fault: Fault) -> None:
        rig, judge = self._rig, self._rig.judge
        before = sum(judge.kinds.values())
        with fault.run(rig, rig.rng):
            hold(fault, rig.rng, brisk=self._brisk)
        end_ns = monotonic_ns()
        fresh_ns = rig.wait_fresh(end_ns, fault.limit_s * self._scale)
        if fresh_ns is None:
            silent = rig.stale_members(end_ns)
            fresh_ns = rig.wait_fresh(end_ns, _PATIENCE_S)
            late = "never" if fresh_ns is None else f"after {(fresh_ns - end_ns) / 1e9:.1f} s"
            logged = {name: rig.members[name].last_lines[-3:] for name in silent}
            judge.fault("slow recovery", f"{fault.name}: frames {late} at {logged}")
        if fresh_ns is not None:
            self._result.recoveries.setdefault(fault.name, []).append((fresh_ns - end_ns) / 1e9)
        self._result.faults += 1
        took = "" if fresh_ns is None else f"{(fresh_ns - end_ns) / 1e9:.2f} s"
        self._log(f"{self._result.faults:4} {fault.name}: {took}")
        time.sleep(0.0 if self._brisk else rig.rng.uniform(*_CALM_S))
        if silent := rig.stale_members(monotonic_ns() - round(_SILENCE_NS * self._scale)):
            judge.fault("silence", f"{fault.name}: nothing at {', '.join(silent)} after it was over")
        for death in rig.ended():
            judge.fault("death", f"{fault.name}: {death}")
        self._revive()
        if sum(judge.kinds.values()) > before:
            self._show(f"broken by {fault.name}: {judge.broken[-1]}")

    def _revive(self) -> None:
        for member in self._rig.members.values():
            if member.exit_code is not None:
                self._rig.start(member)

    def _leaks(self) -> list[str]:
        found = []
        for name, now in self._rig.levels().items():
            first = Level(*self._result.levels[name][0])  # type: ignore[arg-type]
            if now.rss_mib > first.rss_mib + _MORE_MIB:
                found.append(f"{name}: {now.rss_mib:.0f} MiB, {first.rss_mib:.0f} at first")
            if now.threads > first.threads + _MORE_THREADS:
                found.append(f"{name}: {now.threads} threads, {first.threads:.0f} at first")
            if now.descriptors > first.descriptors + _MORE_DESCRIPTORS:
                found.append(f"{name}: {now.descriptors} descriptors, {first.descriptors:.0f} at first")
        first_there, there = self._result.broker_levels[0], list(self._rig.broker_level())
        if any(now > before for now, before in zip(there, first_there, strict=True)):
            found.append(f"broker: {there} queues and connections, {first_there} at first")
        return found
