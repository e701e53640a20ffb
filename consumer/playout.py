"""When a frame is shown. Pure: time comes in, decisions go out.

Both modes keep whole frames only and are bounded: `latest` holds one, `sync` what falls into its delay.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from common.codec.base import Decoded
from common.frame import FrameHeader
from consumer.stats import Event

# Frames that `sync` may hold for each second of its delay; beyond it the oldest is superseded.
_HIGHEST_FPS: Final = 240


@dataclass(frozen=True, slots=True)
class Ready:
    """A frame that is complete and may be shown.

    Attributes:
        received_ns: Unix time of arrival.
        lost_before: frames of the stream that never arrived, since the consumer started.
    """

    header: FrameHeader
    decoded: Decoded
    received_ns: int
    lost_before: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """A frame that will not be shown, and why."""

    frame: Ready
    event: Event


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do now.

    Attributes:
        frame: to be shown now, if any.
        due_ns: Unix time at which it was to be shown; None with `latest`.
        dropped: frames given up.
        wait_ns: time until the next frame's turn; None if only a new frame can change anything.
        upcoming: the frame whose turn is next, once: there is time to work out its pixels.
    """

    frame: Ready | None = None
    due_ns: int | None = None
    dropped: tuple[Dropped, ...] = ()
    wait_ns: int | None = None
    upcoming: Ready | None = None


class Playout(Protocol):
    """Decides which frame is shown when. Not thread-safe."""

    def push(self, frame: Ready) -> tuple[Dropped, ...]:
        """Take a frame, in stream order; the frames that it makes superfluous."""
        ...

    def take(self, now_ns: int) -> Turn:
        """What to show at `now_ns` (Unix time)."""
        ...


class LatestPlayout:
    """The newest complete frame, at once. Slow work skips frames; it never queues them."""

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._newest: Ready | None = None

    def push(self, frame: Ready) -> tuple[Dropped, ...]:
        old, self._newest = self._newest, frame
        return () if old is None else (Dropped(old, Event.SUPERSEDED),)

    def take(self, now_ns: int) -> Turn:
        frame, self._newest = self._newest, None
        if frame is None:
            return Turn()
        if now_ns - frame.header.capture_ns > self._max_age_ns:
            return Turn(dropped=(Dropped(frame, Event.LATE),))
        return Turn(frame)


class SyncPlayout:
    """Every frame at `capture_ns + delay`, so that all screens show the same one at the same time.

    A frame that is more than half a frame interval past its time is dropped: by then the next one is
    nearer to what the other screens show.
    """

    def __init__(self, delay_ns: int, max_age_ns: int) -> None:
        self._delay_ns = delay_ns
        self._max_age_ns = max_age_ns
        self._capacity = 8 + delay_ns * _HIGHEST_FPS // 1_000_000_000
        self._frames: deque[Ready] = deque()
        self._announced: Ready | None = None

    def push(self, frame: Ready) -> tuple[Dropped, ...]:
        dropped = []
        if self._frames and self._frames[-1].header.epoch != frame.header.epoch:
            # The producer restarted: what it published before is of no more interest.
            dropped += [Dropped(old, Event.SUPERSEDED) for old in self._frames]
            self._frames.clear()
        self._frames.append(frame)
        if len(self._frames) > self._capacity:
            dropped.append(Dropped(self._frames.popleft(), Event.SUPERSEDED))
        return tuple(dropped)

    def take(self, now_ns: int) -> Turn:
        dropped = []
        frame: Ready | None = None
        while self._frames and self._due_ns(self._frames[0]) <= now_ns:
            if frame is not None:
                dropped.append(Dropped(frame, Event.SUPERSEDED))
            frame = self._frames.popleft()
        if frame is not None and self._too_late(frame, now_ns):
            dropped.append(Dropped(frame, Event.LATE))
            frame = None
        wait_ns = self._due_ns(self._frames[0]) - now_ns if self._frames else None
        due_ns = None if frame is None else self._due_ns(frame)
        return Turn(frame, due_ns, tuple(dropped), wait_ns, self._upcoming() if frame is None else None)

    def _upcoming(self) -> Ready | None:
        """The next frame, if it was not announced yet.

        One at a time: 20 screens that convert at the moment of display are 5 ms apart on two cores, and
        a converted picture takes twice the memory of a decoded one.
        """
        following = self._frames[0] if self._frames else None
        if following is None or following is self._announced:
            return None
        self._announced = following
        return following

    def _due_ns(self, frame: Ready) -> int:
        return frame.header.capture_ns + self._delay_ns

    def _too_late(self, frame: Ready, now_ns: int) -> bool:
        half_interval_ns = 500_000_000 / frame.header.fps
        age_ns = now_ns - frame.header.capture_ns
        return now_ns - self._due_ns(frame) > half_interval_ns or age_ns > self._max_age_ns
