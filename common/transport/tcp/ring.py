"""A ring of payloads with one writer and any number of readers, none of whom waits for another.

**Why it needs no lock of its own.** A payload is immutable and carries its own number; a slot of the ring
holds a reference to one. The writer replaces a slot by one assignment; a reader loads the slot once, and
uses the loaded reference only. Loading and storing a list item are atomic in
CPython: under the GIL since a thread keeps it for the whole operation, on a free-threaded build since
lists are accessed atomically there (PEP 703, "Container Thread-Safety"). The list never changes its
length. So a reader has one payload, whole, and the payload's number says which: the one that it wants; a
later one, if the writer has lapped it; or an earlier one, if the one that it wants is not yet written.
The order in which two variables change is not relied upon: `written` and `newest_key` are hints, and the
payload found by them is checked by its own number again. (A C program would have to order the two stores.)

A payload that was replaced stays in memory while a reader references it: reference counts replace hazard
pointers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

CAPACITY: Final = 128
# Large frames: older payloads than the newest keyframe are given up beyond this.
MAX_BYTES: Final = 64 * 1024 * 1024
# What is sent first to a new client may be so old: a second between keyframes, and some more. Anything
# older is from before a pause.
_HISTORY_NS: Final = 2_000_000_000
# A reader that is behind for this long requests a keyframe, and again after this interval.
KEYFRAME_REQUEST_NS: Final = 500_000_000


class Payload(NamedTuple):
    """One or several frames that are sent as one.

    Attributes:
        number: 0, 1, 2, ... in the order of writing.
        first: how many frames were written before its own.
        frames: how many it holds.
        key: whether its first frame can be decoded alone.
        captured_ns: when its first frame was captured (monotonic time).
        data: the frames as they travel; None if it was given up.
    """

    number: int
    first: int
    frames: int
    key: bool
    captured_ns: int
    data: bytes | None


class PayloadRing:
    """For one writer: `put`. Everything else may be read by anybody.

    Attributes:
        written: payloads so far.
        newest_key: index of the last one that begins with a keyframe; -1 before the first.
        end: what follows the last payload, once there is one.
    """

    def __init__(self, capacity: int = CAPACITY, max_bytes: int = MAX_BYTES) -> None:
        self._slots: list[Payload | None] = [None] * capacity
        self._capacity = capacity
        self._max_bytes = max_bytes
        self.written = 0
        self.newest_key = -1
        self.end: bytes | None = None
        # The writer's own.
        self._frames = 0
        self._bytes = 0
        self._oldest = 0

    def put(self, data: bytes, *, frames: int, key: bool, captured_ns: int) -> None:
        """Write one payload over the oldest. Never waits."""
        index = self.written
        old = self._slots[index % self._capacity]
        if old is not None and old.data is not None:
            self._bytes -= len(old.data)
        self._slots[index % self._capacity] = Payload(index, self._frames, frames, key, captured_ns, data)
        self._frames += frames
        self._bytes += len(data)
        if key:
            self.newest_key = index
        self.written = index + 1
        self._oldest = max(self._oldest, self.written - self._capacity)
        while self._bytes > self._max_bytes and self._oldest < self.newest_key:
            self._drop(self._oldest)
            self._oldest += 1

    def at(self, index: int) -> Payload | None:
        """What is in the slot of that payload now: it, a later one, an earlier one, or nothing yet."""
        return self._slots[index % self._capacity]

    def _drop(self, index: int) -> None:
        payload = self._slots[index % self._capacity]
        if payload is not None and payload.data is not None:
            self._bytes -= len(payload.data)
            self._slots[index % self._capacity] = payload._replace(data=None)


class Cursor:
    """One reader's place in the ring. Belongs to one thread.

    Starts with the newest keyframe if that is fresh, else with the next one.

    Args:
        stale_ns: a payload that is older than this is left out, if a keyframe has come since.
        now_ns: monotonic time, here and below.

    Attributes:
        lost: frames that this reader did not get since it came too late.
        awaits_key: whether it can do nothing before the next keyframe.
        needs_key: set when it is behind and the ring holds no keyframe to go on with: time to ask for one.
    """

    def __init__(self, ring: PayloadRing, *, stale_ns: int, now_ns: int) -> None:
        self._ring = ring
        self._stale_ns = stale_ns
        self.lost = 0
        self._due: int | None = None  # frames before the next one; None before the first
        self._index = ring.written
        self.awaits_key = True
        self.needs_key = False
        # A new client gets old frames first, and is not behind by that.
        self._behind_since_ns: int | None = None
        key = ring.at(ring.newest_key) if ring.newest_key >= 0 else None
        if key is not None and key.key and key.data is not None and now_ns - key.captured_ns <= _HISTORY_NS:
            self._index = key.number

    def next(self, now_ns: int) -> Payload | None:
        """The next payload; None if there is none yet. Never waits."""
        while True:
            payload = self._ring.at(self._index)
            if payload is None or payload.number < self._index:
                return None
            if payload.number > self._index or payload.data is None:
                self._lapped()
            elif self.awaits_key and not payload.key:
                self._index += 1
            elif now_ns - payload.captured_ns > self._stale_ns and self._ring.newest_key > self._index:
                self._index = self._ring.newest_key
            else:
                self._check_behind(now_ns - payload.captured_ns > self._stale_ns, now_ns)
                self._take(payload)
                return payload

    def _lapped(self) -> None:
        # Strictly forward, so that it ends; what is found there is judged in the next round.
        if self._ring.newest_key > self._index:
            self._index = self._ring.newest_key
        else:
            self._index = max(self._ring.written, self._index + 1)
            self.awaits_key = self.needs_key = True

    def _check_behind(self, stale: bool, now_ns: int) -> None:
        if not stale:
            self._behind_since_ns = None
        elif self._behind_since_ns is None:
            self._behind_since_ns = now_ns
        elif now_ns - self._behind_since_ns >= KEYFRAME_REQUEST_NS:
            self._behind_since_ns = now_ns
            self.needs_key = True

    def _take(self, payload: Payload) -> None:
        if self._due is not None:
            self.lost += payload.first - self._due
        self._due = payload.first + payload.frames
        self._index = payload.number + 1
        self.awaits_key = False
