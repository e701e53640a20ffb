"""Decides when each picture of a hub's ring is presented. Pure: the time is an argument."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from fanlight.common.model.sequence import possible
from fanlight.common.shm.layout import Slot
from fanlight.consumer.playout import LatenessRule
from fanlight.consumer.stats import Outcome

# In frame intervals before a picture is due under `sync`: the viewer then prepares the frame and waits, so
# that it does no other work at the playout time, which is the same for all viewers of the host.
_AHEAD: Final = 0.75
# A picture captured so long after the change to the ring did not come from another source, whatever its seq
# is: a forged one is left as in `SequenceTracker`.
_TAKEOVER_NS: Final = 1_000_000_000


class Ring(Protocol):
    """The part of an `Attachment` that is used here."""

    @property
    def newest(self) -> int:
        """The number of the newest picture; 0 before the first one."""
        ...

    def slot(self, number: int) -> Slot | None:
        """The slot of a picture; None if it has been overwritten."""
        ...


class Choice(NamedTuple):
    """What to do now.

    Attributes:
        slot: the picture to show, if any.
        due_ns: its playout time (monotonic); None for at once.
        dropped: pictures that are not shown, and why: superseded or late.
        overwritten: number of further pictures that were overwritten before they were read.
        lost: number of frames lost between these pictures.
        wait_ns: time until the next picture is due; None if only a new one can change anything.
    """

    slot: Slot | None = None
    due_ns: int | None = None
    dropped: tuple[tuple[Slot, Outcome], ...] = ()
    overwritten: int = 0
    lost: int = 0
    wait_ns: int | None = None


_NOTHING: Final = Choice()


class RingPlayout:
    """Decides about the pictures of one ring. Not thread-safe.

    Args:
        delay_ns: of `sync`; None to show the newest picture at once.
        after: the last seq of this epoch from another source, if any.
    """

    def __init__(self, ring: Ring, delay_ns: int | None, after: int | None, now_ns: int) -> None:
        self._ring = ring
        self._delay_ns = delay_ns
        self._last_seq = after
        self._last_captured_ns = now_ns
        self._new_from_ns = now_ns + _TAKEOVER_NS
        self._lateness = LatenessRule()
        # Overwritten pictures since the last slot that was read; the next one shows which frames they were.
        self._unknown = 0
        self._seen = max(0, ring.newest - 1)
        if delay_ns is not None:
            while self._seen and (slot := ring.slot(self._seen)) is not None:
                if slot.captured_ns + delay_ns <= now_ns:
                    break
                self._seen -= 1

    @property
    def seen(self) -> int:
        """The number of the last picture that needs no more decision."""
        return self._seen

    @property
    def last_seq(self) -> int | None:
        """The seq of the last frame, from either source, if any."""
        return self._last_seq

    def next(self, newest: int) -> Slot | None:
        """The newest picture, if it is the next one and is to be shown at once; else see `choose`."""
        if newest != self._seen + 1 or self._delay_ns is not None:
            return None
        slot = self._ring.slot(newest)
        if slot is None or slot.seq - 1 != self._last_seq:
            return None
        self._seen, self._last_seq, self._last_captured_ns = newest, slot.seq, slot.captured_ns
        return slot

    def choose(self, newest: int, now_ns: int) -> Choice:
        """What to do at `now_ns` (monotonic), if `newest` is the newest picture."""
        seen = self._seen
        if newest <= seen:
            return _NOTHING
        passed: list[Slot] = []
        overwritten = lost = 0
        wait_ns = None
        for number in range(seen + 1, newest + 1):
            slot = self._ring.slot(number)
            if slot is None:
                self._unknown += 1
            elif (
                self._last_seq is not None
                and slot.seq <= self._last_seq
                and slot.captured_ns < self._new_from_ns
            ):
                self._unknown = 0  # received from another source, like those before it
            else:
                wait_ns = self._wait_ns(slot, now_ns, first=not passed)
                if wait_ns is not None:
                    break
                missing = self._missing(slot)
                overwritten_here, self._unknown = min(self._unknown, missing), 0
                overwritten += overwritten_here
                lost += missing - overwritten_here
                self._last_seq, self._last_captured_ns = slot.seq, slot.captured_ns
                passed.append(slot)
            self._seen = number
        if not passed:
            return Choice(wait_ns=wait_ns)
        shown = passed.pop()
        dropped = tuple((slot, Outcome.SUPERSEDED) for slot in passed)
        if self._delay_ns is None:
            return Choice(shown, None, dropped, overwritten, lost)
        due_ns = shown.captured_ns + self._delay_ns
        if self._lateness.shows(now_ns - due_ns, shown.fps, now_ns):
            return Choice(shown, due_ns, dropped, overwritten, lost)
        return Choice(None, None, (*dropped, (shown, Outcome.LATE)), overwritten, lost)

    def _missing(self, slot: Slot) -> int:
        """The number of frames between the last one and this one."""
        if self._last_seq is None:
            return self._unknown
        missing = slot.seq - self._last_seq - 1
        passed_ns = slot.captured_ns - self._last_captured_ns
        return missing if missing >= 0 and possible(missing, passed_ns) else 0

    def _wait_ns(self, slot: Slot, now_ns: int, *, first: bool) -> int | None:
        """Time until it is due; None if it is."""
        if self._delay_ns is None:
            return None
        # Only the first picture is returned ahead: a later one would replace it.
        ahead_ns = int(_AHEAD * 1e9 / slot.fps) if first else 0
        left_ns = slot.captured_ns + self._delay_ns - ahead_ns - now_ns
        return left_ns if left_ns > 0 else None
