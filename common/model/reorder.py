"""Puts what several workers made of the frames of a stream back in order, within a deadline. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MOST_PENDING: Final = 512
MOST_PENDING_BYTES: Final = 4 * 1024 * 1024
# Handed out so long before the deadline, since a thread does not wake in no time; a quarter of a short one.
_LEAD_NS: Final = 20_000_000
_EPOCHS_KEPT: Final = 8
# An epoch that another one has replaced goes on after so long without any result of the other.
_TAKEOVER_NS: Final = 1_000_000_000


@dataclass(slots=True)
class _Pending(Generic[T]):
    rank: int
    epoch: int
    seq: int
    deadline_ns: int
    item: T
    size_bytes: int

    @property
    def order(self) -> tuple[int, int]:
        return self.rank, self.seq


class Reorderer(Generic[T]):
    """Gives items out in the order of their frames, each at most once, and none after its deadline.

    An item is given out at once if it follows the one before it without a gap. Otherwise it waits for what
    is missing until shortly before its deadline, since nobody knows which frames a pool has skipped. Frames
    of a new epoch follow those of the one before. At most `MOST_PENDING` items wait, and
    `MOST_PENDING_BYTES`: further ones cost the first. Not thread-safe.

    Args:
        deadline_ns: after the capture of the frame.

    Attributes:
        late: items that came, or were taken, after their deadline, or after a later one was given out.
        duplicate: items that came again.
        dropped: items that were not taken before too many others came.
    """

    def __init__(self, deadline_ns: int) -> None:
        self._deadline_ns = deadline_ns
        self._lead_ns = min(_LEAD_NS, deadline_ns // 4)
        self._pending: dict[tuple[int, int], _Pending[T]] = {}
        # The last number that was given out, by epoch; the current epoch is the last one.
        self._given: dict[int, int] = {}
        # The order of the epochs; the highest one of what was given out.
        self._ranks: dict[int, int] = {}
        self._rank = self._given_rank = 0
        self._came_ns = 0
        self._size_bytes = 0
        self.late = self.duplicate = self.dropped = 0

    def __len__(self) -> int:
        return len(self._pending)

    def offer(
        self, epoch: int, seq: int, capture_ns: int, item: T, now_ns: int, size_bytes: int = 0
    ) -> bool:
        """Take what was made of a frame; False if it is dropped. `now_ns`: by the clock of `capture_ns`."""
        if (epoch, seq) in self._pending:
            self.duplicate += 1
            return False
        if not self._enter(epoch, now_ns) or now_ns > capture_ns + self._deadline_ns:
            self.late += 1
            return False
        if seq <= self._given[epoch]:
            self.duplicate += seq == self._given[epoch]
            self.late += seq != self._given[epoch]
            return False
        # Not longer than that from now on either: a clock may be wrong.
        deadline_ns = min(capture_ns, now_ns) + self._deadline_ns
        self._pending[epoch, seq] = _Pending(self._ranks[epoch], epoch, seq, deadline_ns, item, size_bytes)
        self._size_bytes += size_bytes
        while len(self._pending) > MOST_PENDING or self._size_bytes > MOST_PENDING_BYTES:
            self._give(min(self._pending.values(), key=lambda waiting: waiting.order))
            self.dropped += 1
        return True

    def take(self, now_ns: int) -> T | None:
        """The next item, if it is to be given out now."""
        waiting = sorted(self._pending.values(), key=lambda item: item.order)
        due = max((at for at, item in enumerate(waiting) if self._due_ns(item) <= now_ns), default=-1)
        for at, item in enumerate(waiting):
            last = self._given.get(item.epoch, -1)
            if at > due and item.seq != last + 1:
                break
            self._give(item)
            if item.seq > last and now_ns <= item.deadline_ns:
                return item.item
            self.late += 1
        return None

    def next_ns(self) -> int | None:
        """When to call `take` again, unless something is offered before; None if nothing waits."""
        return min(map(self._due_ns, self._pending.values()), default=None)

    def _due_ns(self, item: _Pending[T]) -> int:
        return item.deadline_ns - self._lead_ns

    def _give(self, item: _Pending[T]) -> None:
        del self._pending[item.epoch, item.seq]
        self._size_bytes -= item.size_bytes
        self._given_rank = max(item.rank, self._given_rank)
        if item.epoch in self._given:
            self._given[item.epoch] = max(item.seq, self._given[item.epoch])

    def _enter(self, epoch: int, now_ns: int) -> bool:
        """Whether an item of this epoch can follow."""
        current = next(reversed(self._given), None)
        if epoch != current:
            if epoch in self._given and now_ns - self._came_ns < _TAKEOVER_NS:
                # Of the last frames before a new producer began, or of a second producer.
                return self._ranks[epoch] >= self._given_rank
            self._given[epoch] = self._given.pop(epoch, -1)
            self._rank += 1
            self._ranks[epoch] = self._rank
            if len(self._given) > _EPOCHS_KEPT:
                oldest = next(iter(self._given))
                del self._given[oldest], self._ranks[oldest]
        self._came_ns = now_ns
        return True
