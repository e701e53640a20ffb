"""Selects what is sent next to one client: short messages first, then payloads of the ring."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.transport.tcp.ring import Cursor, PayloadRing

MOST_MESSAGES: Final = 16


class Feed:
    """One thread takes (`next`); `send` and `follow` are thread-safe.

    Args:
        ends: whether it gives the ring's `end`, too.
        stale_ns: see `Cursor`.
        on_lost: given how many frames more this client did not get; in the thread that takes.
        on_needs_key: it cannot go on without a keyframe, and the ring holds none; likewise.

    Attributes:
        rest: of what was taken last, the bytes not sent yet; for a thread that does not block.
    """

    def __init__(
        self,
        ring: PayloadRing,
        *,
        stale_ns: int,
        on_lost: Callable[[int], None],
        on_needs_key: Callable[[], None],
        ends: bool = False,
    ) -> None:
        self._ring = ring
        self._stale_ns = stale_ns
        self._on_lost = on_lost
        self._on_needs_key = on_needs_key
        self._ends = ends
        self._cursor: Cursor | None = None
        self.rest = memoryview(b"")
        self._messages: deque[Callable[[], bytes]] = deque()

    def send(self, message: Callable[[], bytes]) -> None:
        """Send this between two payloads; called just before it is sent. Dropped if many wait already."""
        if len(self._messages) < MOST_MESSAGES:
            self._messages.append(message)

    def follow(self, wanted: bool) -> None:
        """Send frames from now on, or none."""
        self._cursor = (
            Cursor(self._ring, stale_ns=self._stale_ns, now_ns=monotonic_ns()) if wanted else None
        )

    def next(self) -> bytes | None:
        """What is to be sent now; None if there is nothing yet."""
        if self._messages:
            return self._messages.popleft()()
        end = self._ring.end  # read first: every payload was written before it
        cursor = self._cursor
        if cursor is None:
            return self._end_once(end)
        payload = cursor.next(monotonic_ns())
        if cursor.lost:
            self._on_lost(cursor.lost)
            cursor.lost = 0
        if cursor.needs_key:
            cursor.needs_key = False
            self._on_needs_key()
        return self._end_once(end) if payload is None else payload.data

    def _end_once(self, end: bytes | None) -> bytes | None:
        if end is None or not self._ends:
            return None
        self._ends = False
        return end
