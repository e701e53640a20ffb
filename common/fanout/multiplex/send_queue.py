"""What waits to be sent to one client: whole frames, bounded, and fresh rather than complete. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from common.fanout.tcp.behind import ASK_EVERY_NS, Behind
from common.ratelimit import RateLimiter

# A frame that is larger is sent alone.
MAX_BYTES: Final = 8 * 1024 * 1024
MOST_SAYINGS: Final = 16


class _Frame(NamedTuple):
    data: bytes
    captured_ns: int


class SendQueue:
    """Drops whole frames when it is full; nothing that refers to a dropped one is sent then.

    Args:
        stale_ns: once the oldest frame that waits is older than this, a keyframe replaces all that wait.

    Attributes:
        awaits_key: whether frames are dropped until the next keyframe.
        needs_key: set when it is behind, or has nothing to go on with: a keyframe should be asked for.
    """

    def __init__(self, *, stale_ns: int, max_bytes: int = MAX_BYTES) -> None:
        self._stale_ns = stale_ns
        self._max_bytes = max_bytes
        self._sayings: deque[bytes] = deque()
        self._frames: deque[_Frame] = deque()
        self._bytes = 0
        # What is being sent; part of it may be on its way.
        self._current: memoryview | None = None
        self.awaits_key = True
        self.needs_key = False
        self._begun = False
        self._behind = Behind()
        self._asking = RateLimiter(ASK_EVERY_NS)

    @property
    def waits(self) -> bool:
        """Whether anything is to be sent."""
        return self._current is not None or bool(self._sayings) or bool(self._frames)

    def say(self, data: bytes) -> None:
        """Send a short message before all frames that wait; dropped if many wait already."""
        if len(self._sayings) < MOST_SAYINGS:
            self._sayings.append(data)

    def offer(self, data: bytes, *, key: bool, captured_ns: int, now_ns: int) -> int:
        """Take a frame to send, or drop some. Both times are monotonic.

        Returns:
            how many frames were dropped, this one included. Those before the first keyframe do not count.
        """
        if self.awaits_key and not key:
            if self._begun and not self._frames and self._asking.allow(now_ns) is not None:
                self.needs_key = True
            return int(self._begun)
        dropped, stale = 0, False
        if self._frames:
            stale = now_ns - self._frames[0].captured_ns > self._stale_ns
            full = self._bytes + len(data) > self._max_bytes
            if key and (stale or full):
                dropped = self.clear()
            elif full:
                self.awaits_key = True
                return 1
        self.needs_key |= self._behind.needs_key(stale, now_ns)
        self.awaits_key = False
        self._begun = True
        self._frames.append(_Frame(data, captured_ns))
        self._bytes += len(data)
        return dropped

    def end(self) -> None:
        """No more frames are wanted, until there is a new beginning."""
        self.clear()
        self.awaits_key = True
        self._begun = False

    def clear(self) -> int:
        """Drop the frames that are not begun; how many."""
        dropped = len(self._frames)
        self._frames.clear()
        self._bytes = 0
        return dropped

    def chunk(self) -> memoryview | None:
        """What is to be sent next."""
        if self._current is None:
            if self._sayings:
                self._current = memoryview(self._sayings.popleft())
            elif self._frames:
                data = self._frames.popleft().data
                self._bytes -= len(data)
                self._current = memoryview(data)
        return self._current

    def sent(self, count: int) -> None:
        """So many bytes of the chunk are on their way."""
        assert self._current is not None  # noqa: S101 - there was a chunk
        rest = self._current[count:]
        self._current = rest if len(rest) else None
