"""Checks the invariants on what consumers presented and on what all processes logged. Pure.

All processes of a rig run on one host, whose real wall clock they share but for steps of whole `STEP_NS`:
the true age of a frame is the difference of the two stamps modulo one step.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from fanlight.producer.source.frame_code import MODULUS
from scripts.faults.observation import Observation, code_of

STEP_NS: Final = 3600 * 1_000_000_000
# Between the decision to present and the stamp lies one switch of threads on a busy machine.
_HANDED_OVER_NS: Final = 50_000_000
_MOST_KEPT: Final = 50
# In one second: a line for what broke, one for what healed, for each of the few things that may.
_MOST_LINES: Final = 5
_SECOND_NS: Final = 1_000_000_000


def true_age_ns(observed: Observation) -> int:
    """From capture to presentation, whatever steps the two clocks have made."""
    return (observed.presented_ns - observed.capture_ns + STEP_NS // 2) % STEP_NS - STEP_NS // 2


@dataclass
class _Followed:
    """What one process has presented so far."""

    epoch: int = -1
    seq: int = -1
    left: set[int] = field(default_factory=set)
    frames: int = 0
    at_ns: int = 0
    captured_ns: int = 0


class Judge:
    """Collects what must not be.

    Attributes:
        broken: descriptions, the first so many of them.
        kinds: how often each invariant broke.
        frames: presented frames that were looked at.
        oldest_ns: the highest true age.
    """

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._followed: dict[int, _Followed] = {}
        self._lines: dict[str, deque[tuple[int, str]]] = {}
        self.broken: list[str] = []
        self.kinds: Counter[str] = Counter()
        self.frames = 0
        self.oldest_ns = 0

    def frame(self, observed: Observation, name: str, stream: str) -> None:
        """Judge one frame; `name` and `stream` are those of the consumer that presented it."""
        self.frames += 1
        followed = self._followed.setdefault(observed.member, _Followed())
        where = f"{name}: frame {observed.seq} of epoch {observed.epoch:x}"
        if observed.stream != stream:
            self.fault("another stream", f"{where} is of {observed.stream}")
        age_ns = true_age_ns(observed)
        self.oldest_ns = max(self.oldest_ns, age_ns)
        if age_ns > self._max_age_ns + _HANDED_OVER_NS:
            self.fault("too old", f"{where} is {age_ns / 1e6:.0f} ms old")
        if age_ns < -_HANDED_OVER_NS:
            self.fault("from the future", f"{where} is {age_ns / 1e6:.0f} ms old")
        if observed.epoch in followed.left:
            self.fault("out of order", f"{where}: that epoch was left before")
        elif observed.epoch == followed.epoch and observed.seq <= followed.seq:
            self.fault("out of order", f"{where} after frame {followed.seq}")
        wanted = code_of(observed.capture_ns, MODULUS)
        if len(set(observed.codes)) > 1:
            self.fault("torn", f"{where} says {observed.codes}")
        elif observed.codes[0] != wanted:
            self.fault("another's metadata", f"{where} says {observed.codes[0]}, its header {wanted}")
        if observed.epoch != followed.epoch and followed.epoch >= 0:
            followed.left.add(followed.epoch)
        followed.epoch, followed.seq = observed.epoch, observed.seq
        followed.frames += 1
        followed.at_ns = observed.at_ns
        followed.captured_ns = observed.at_ns - age_ns

    def presented(self, member: int) -> int:
        """How many frames a process has presented."""
        followed = self._followed.get(member)
        return followed.frames if followed else 0

    def newest(self, member: int) -> tuple[int, int]:
        """When the last frame was presented, and when captured (monotonic); zeros before the first."""
        followed = self._followed.get(member)
        return (followed.at_ns, followed.captured_ns) if followed else (0, 0)

    def line(self, name: str, text: str, at_ns: int) -> None:
        """Judge one log line of a process; `at_ns` is monotonic."""
        if "Traceback" in text or "internal error" in text:
            self.fault("traceback", f"{name}: {text}")
        lines = self._lines.setdefault(name, deque())
        while lines and at_ns - lines[0][0] >= _SECOND_NS:
            lines.popleft()
        lines.append((at_ns, text))
        if len(lines) == _MOST_LINES + 1:
            self.fault("too many lines", f"{name}: {len(lines)} in one second: {[t for _, t in lines]}")

    def fault(self, kind: str, text: str) -> None:
        """Note that an invariant is broken."""
        self.kinds[kind] += 1
        if len(self.broken) < _MOST_KEPT:
            self.broken.append(f"{kind}: {text}")
