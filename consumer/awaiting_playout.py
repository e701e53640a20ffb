"""Presents the newest frame that has its results, or has waited long enough. Pure, as `playout`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from fanlight.common.model.frame import FrameHeader
from fanlight.consumer.playout import Dropped, LatestPlayout, PlayoutStep, Pushed, ReceivedFrame
from fanlight.consumer.stats import Outcome

# At most so many frames per second of waiting, and so many bytes, wait.
_HIGHEST_FPS: Final = 240
_MOST_BYTES: Final = 16 * 1024 * 1024


class AwaitingPlayout:
    """A `LatestPlayout` that frames enter when they are ready. Not thread-safe.

    They enter in stream order: one that is ready brings those before it along, which it supersedes.

    Args:
        wait_ns: a frame is ready at this age, if not before.
        complete: whether all results of a frame are there. It may become true at any time: `take` is to be
            called then.

    Attributes:
        eager: whether the last frame pushed was ready at once.
    """

    def __init__(self, wait_ns: int, max_age_ns: int, complete: Callable[[FrameHeader], bool]) -> None:
        self._wait_ns = wait_ns
        self._complete = complete
        self._capacity = 8 + wait_ns * _HIGHEST_FPS // 1_000_000_000
        self._waiting: deque[ReceivedFrame] = deque()
        self._bytes = 0
        self._ready = LatestPlayout(max_age_ns)
        self._broken = False
        self.eager = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._ready)

    def push(self, arrived: ReceivedFrame) -> Pushed:
        if self._broken:
            self._broken = False
            if not arrived.header.key:
                return Pushed((Dropped(arrived, Outcome.AWAITING_KEY),) if arrived.showable else (), True)
        self._waiting.append(arrived)
        self._bytes += len(arrived.frame.body)
        self.eager = self._complete(arrived.header)
        excess = 0
        kept_bytes = self._bytes
        while len(self._waiting) - excess > self._capacity or kept_bytes > _MOST_BYTES:
            kept_bytes -= len(self._waiting[excess].frame.body)
            excess += 1
        dropped = self._enter(excess)
        broken, self._broken = self._broken, False
        return Pushed(dropped, broken)

    def take(self, now_ns: int) -> PlayoutStep:
        ready = 0
        for at, frame in enumerate(self._waiting, 1):
            header = frame.header
            if now_ns - header.capture_ns >= self._wait_ns or self._complete(header):
                ready = at
        dropped = self._enter(ready)
        step = self._ready.take(now_ns)
        if self._waiting:
            wait_ns = self._waiting[0].header.capture_ns + self._wait_ns - now_ns
            step = step._replace(wait_ns=wait_ns)
        return step._replace(dropped=dropped + step.dropped) if dropped else step

    def clear(self) -> tuple[Dropped, ...]:
        """Drop all frames."""
        waiting = (Dropped(old, Outcome.AWAITING_KEY) for old in self._waiting if old.showable)
        dropped = (*self._ready.clear(), *waiting)
        self._waiting.clear()
        self._bytes = 0
        return dropped

    def _enter(self, count: int) -> tuple[Dropped, ...]:
        """The first ones are ready. If their references do not fit, all frames are dropped."""
        dropped: tuple[Dropped, ...] = ()
        for _ in range(count):
            frame = self._waiting.popleft()
            self._bytes -= len(frame.frame.body)
            pushed = self._ready.push(frame)
            dropped += pushed.dropped
            if pushed.broken:
                self._broken = True
                return dropped + self.clear()
        return dropped
