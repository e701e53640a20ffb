"""Gaps, duplicates and restarts, detected from `epoch` and `seq` alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_RETIRED_EPOCHS_KEPT: Final = 8


class Continuity(Enum):
    """How a frame follows the one before it."""

    FIRST = auto()
    """The first frame of an epoch: a join, or a producer that restarted."""
    NEXT = auto()
    GAP = auto()
    """Frames between this one and the one before it never came."""
    DUPLICATE = auto()
    """Already seen, or overtaken by a later one."""
    OTHER_PRODUCER = auto()
    """From an epoch that was left for a newer one: a second producer on the stream."""


@dataclass(frozen=True, slots=True)
class Step:
    """The continuity of one frame, and how many frames are missing before it."""

    continuity: Continuity
    lost: int = 0


_NEXT: Final = Step(Continuity.NEXT)


class SequenceTracker:
    """Follows one stream. Not thread-safe: it belongs to the thread that receives.

    Args:
        takeover_ns: silence of the current epoch after which an epoch that was left may come back.
    """

    def __init__(self, takeover_ns: int = 1_000_000_000) -> None:
        self._takeover_ns = takeover_ns
        self._epoch: int | None = None
        self._last_seq = -1
        self._last_ns = 0
        # Epochs that were left, oldest first, with their last frame: one that comes back goes on there.
        self._retired: dict[int, int] = {}

    def observe(self, epoch: int, seq: int, now_ns: int) -> Step:
        """Take one frame into account, in the order of arrival.

        Args:
            now_ns: monotonic time of arrival.
        """
        if epoch != self._epoch:
            return self._new_epoch(epoch, seq, now_ns)
        if seq <= self._last_seq:
            return Step(Continuity.DUPLICATE)
        lost = seq - self._last_seq - 1
        self._last_seq = seq
        self._last_ns = now_ns
        return Step(Continuity.GAP, lost) if lost else _NEXT

    def _new_epoch(self, epoch: int, seq: int, now_ns: int) -> Step:
        if epoch in self._retired:
            if now_ns - self._last_ns < self._takeover_ns:
                return Step(Continuity.OTHER_PRODUCER)
            if seq <= self._retired[epoch]:
                return Step(Continuity.DUPLICATE)
        self._enter(epoch, seq, now_ns)
        return Step(Continuity.FIRST)

    def refuses(self, epoch: int, now_ns: int) -> bool:
        """Whether frames of this epoch are another producer's now: it was left for one that goes on."""
        return epoch in self._retired and now_ns - self._last_ns < self._takeover_ns

    def adopt(self, epoch: int, seq: int, now_ns: int) -> None:
        """A hub brought the stream up to this frame: what follows is counted from there."""
        if epoch != self._epoch:
            self._enter(epoch, seq, now_ns)
        self._last_seq = max(self._last_seq, seq)
        self._last_ns = now_ns

    def _enter(self, epoch: int, seq: int, now_ns: int) -> None:
        self._retired.pop(epoch, None)
        if self._epoch is not None:
            self._retired[self._epoch] = self._last_seq
        if len(self._retired) > _RETIRED_EPOCHS_KEPT:
            del self._retired[next(iter(self._retired))]
        self._epoch = epoch
        self._last_seq = seq
        self._last_ns = now_ns
