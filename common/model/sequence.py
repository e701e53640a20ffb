"""Detects gaps, duplicates and restarts from `epoch` and `seq` alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_RETIRED_EPOCHS_KEPT: Final = 8


class Continuity(Enum):
    """How a frame follows the one before it."""

    FIRST = auto()
    """The first frame of an epoch: after a join, or after the producer restarted."""
    NEXT = auto()
    GAP = auto()
    """Frames are missing between this one and the one before it."""
    DUPLICATE = auto()
    """Already received, or older than one already received."""
    OTHER_PRODUCER = auto()
    """From an earlier epoch while the current one continues: a second producer publishes this stream."""


@dataclass(frozen=True, slots=True)
class Step:
    """The continuity of one frame, and how many frames are missing before it."""

    continuity: Continuity
    lost: int = 0


_NEXT: Final = Step(Continuity.NEXT)


class SequenceTracker:
    """Tracks epoch and sequence number of one stream. Not thread-safe.

    Args:
        takeover_ns: after no frame of the current epoch for this long, an earlier epoch may become current.
    """

    def __init__(self, takeover_ns: int = 1_000_000_000) -> None:
        self._takeover_ns = takeover_ns
        self._epoch: int | None = None
        self._last_seq = -1
        self._last_ns = 0
        # Earlier epochs, oldest first, with the number of their last frame, at which they continue.
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
        """Whether frames of this epoch would be `OTHER_PRODUCER`."""
        return epoch in self._retired and now_ns - self._last_ns < self._takeover_ns

    def adopt(self, epoch: int, seq: int, now_ns: int) -> None:
        """Continue after this frame, which was received from a hub."""
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
