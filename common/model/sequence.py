"""Detects gaps, duplicates and restarts from `epoch` and `seq` alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_RETIRED_EPOCHS_KEPT: Final = 8
# No producer is faster: how much of a larger gap was ever published, is not known.
_FASTEST_FPS: Final = 1000


class Continuity(Enum):
    """How a frame follows the one before it."""

    FIRST = auto()
    """The first frame of an epoch: after a join, a restart of the producer, or an impossible gap."""
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


def possible(frames: int, passed_ns: int) -> bool:
    """Whether a producer can have published so many frames in this time: of others, none are lost."""
    return frames <= _FASTEST_FPS * (1 + max(0, passed_ns) // 1_000_000_000)


class SequenceTracker:
    """Tracks epoch and sequence number of one stream. Not thread-safe.

    One forged message may announce any epoch and any number. Either is left again once nothing has
    continued it for `takeover_ns`: an earlier epoch continues after its own last frame, and within an epoch
    the numbers continue after the last frame before the jump.

    Args:
        takeover_ns: after no frame of the current epoch for this long, an earlier epoch may become current.
    """

    def __init__(self, takeover_ns: int = 1_000_000_000) -> None:
        self._takeover_ns = takeover_ns
        self._epoch: int | None = None
        self._last_seq = -1
        self._last_ns = 0
        # The last frame before the first gap that may be a forged jump, the first one after the latest gap,
        # and when either was last in doubt.
        self._before_jump = -1
        self._run_begin = -1
        self._doubted_ns = 0
        # Earlier epochs, oldest first, each with `_continues_after`, `_run_begin` and `_last_seq`.
        self._retired: dict[int, tuple[int, int, int]] = {}

    def observe(self, epoch: int, seq: int, now_ns: int) -> Step:
        """Take one frame into account, in the order of arrival.

        Args:
            now_ns: monotonic time of arrival.
        """
        if epoch != self._epoch:
            return self._new_epoch(epoch, seq, now_ns)
        lost = seq - self._last_seq - 1
        if lost < 0:
            return self._earlier(seq, now_ns)
        if not lost:
            self._last_seq, self._last_ns = seq, now_ns
            return _NEXT
        step = (
            Step(Continuity.GAP, lost) if possible(lost, now_ns - self._last_ns) else Step(Continuity.FIRST)
        )
        self._jump(seq, now_ns)
        return step

    def _earlier(self, seq: int, now_ns: int) -> Step:
        """A frame with the number of the last one, or a lower one."""
        silent = now_ns - self._last_ns >= self._takeover_ns
        if silent and self._continues_after < seq < self._run_begin:
            self._jump(seq, now_ns)
            return Step(Continuity.FIRST)
        self._before_jump, self._doubted_ns = self._continues_after, now_ns
        return Step(Continuity.DUPLICATE)

    def _jump(self, seq: int, now_ns: int) -> None:
        self._before_jump, self._run_begin = self._continues_after, seq
        self._doubted_ns = self._last_ns = now_ns
        self._last_seq = seq

    @property
    def _continues_after(self) -> int:
        """The last number that is certain: the numbers after a jump are, once they went on undisputed."""
        undisputed = self._last_ns - self._doubted_ns >= self._takeover_ns
        return self._last_seq if undisputed else self._before_jump

    def _new_epoch(self, epoch: int, seq: int, now_ns: int) -> Step:
        if epoch in self._retired:
            if now_ns - self._last_ns < self._takeover_ns:
                return Step(Continuity.OTHER_PRODUCER)
            after, run_begin, last_seq = self._retired[epoch]
            if seq <= last_seq and not after < seq < run_begin:
                return Step(Continuity.DUPLICATE)
        self._enter(epoch, seq, now_ns)
        return Step(Continuity.FIRST)

    def refuses(self, epoch: int, now_ns: int) -> bool:
        """Whether frames of this epoch would be `OTHER_PRODUCER`."""
        return epoch in self._retired and now_ns - self._last_ns < self._takeover_ns

    def ended(self, epoch: int, seq: int, now_ns: int) -> int | None:
        """The producer of `epoch` has ended after the frame `seq`: how many frames were lost before that.

        None if it is not the current producer. Before the first frame any is.
        """
        if self._epoch is None:
            return 0
        if epoch != self._epoch:
            return None
        lost = max(0, seq - self._last_seq)
        return lost if possible(lost, now_ns - self._last_ns) else 0

    def adopt(self, epoch: int, seq: int, now_ns: int) -> None:
        """Continue after this frame, which was received from a hub."""
        if epoch != self._epoch:
            self._enter(epoch, seq, now_ns)
        elif possible(seq - self._last_seq - 1, now_ns - self._last_ns):
            self._last_seq, self._last_ns = max(self._last_seq, seq), now_ns
        else:
            self._jump(seq, now_ns)

    def _enter(self, epoch: int, seq: int, now_ns: int) -> None:
        before = self._retired.pop(epoch, (-1, -1, -1))[0]
        if self._epoch is not None:
            self._retired[self._epoch] = (self._continues_after, self._run_begin, self._last_seq)
        if len(self._retired) > _RETIRED_EPOCHS_KEPT:
            del self._retired[next(iter(self._retired))]
        self._epoch = epoch
        self._before_jump, self._last_seq, self._run_begin = before, seq, seq
        self._last_ns = self._doubted_ns = now_ns
