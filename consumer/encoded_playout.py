"""Which frame a program gets that decodes, or stores, frames by itself. Pure, as `consumer.playout`."""

from __future__ import annotations

from collections import deque

from fanlight.consumer.playout import (
    IDLE,
    KEPT,
    LONGEST_CHAIN,
    MOST_BYTES,
    Dropped,
    PlayoutStep,
    Pushed,
    ReceivedFrame,
)
from fanlight.consumer.stats import Outcome


class EncodedPlayout:
    """Presents every frame at once, in order, each with all that it refers to.

    A keyframe supersedes the frames that still wait. When the first one that waits becomes too old, those
    that follow it are of no use either: the program is too slow, and goes on with the next keyframe, which
    it does not request, as this would cost the others.
    """

    eager = False

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._frames: deque[ReceivedFrame] = deque()
        self._bytes = 0
        self._awaiting_key = False

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, arrived: ReceivedFrame) -> Pushed:
        if arrived.header.key:
            dropped = self._drop(Outcome.SUPERSEDED)
            self._awaiting_key = False
        elif self._awaiting_key:
            return Pushed(_unusable(arrived))
        elif len(self._frames) >= LONGEST_CHAIN or self._bytes > MOST_BYTES:
            return Pushed((*self.clear(), *_unusable(arrived)))
        else:
            dropped = ()
        if not arrived.showable:
            # Too old, by the network's fault: those that follow may be in time, if they begin anew.
            return Pushed((*dropped, *self.clear()), broken=True)
        self._frames.append(arrived)
        self._bytes += len(arrived.frame.body)
        return Pushed(dropped) if dropped else KEPT

    def take(self, now_ns: int) -> PlayoutStep:
        frames = self._frames
        if not frames:
            return IDLE
        first = frames.popleft()
        self._bytes -= len(first.frame.body)
        if now_ns - first.header.capture_ns <= self._max_age_ns:
            return PlayoutStep(first)
        return PlayoutStep(dropped=(Dropped(first, Outcome.LATE), *self.clear()))

    def clear(self) -> tuple[Dropped, ...]:
        self._awaiting_key = True
        return self._drop(Outcome.AWAITING_KEY)

    def _drop(self, outcome: Outcome) -> tuple[Dropped, ...]:
        dropped = tuple(Dropped(old, outcome) for old in self._frames)
        self._frames.clear()
        self._bytes = 0
        return dropped


def _unusable(frame: ReceivedFrame) -> tuple[Dropped, ...]:
    """A frame whose references are missing; one that came too late is counted already."""
    return (Dropped(frame, Outcome.AWAITING_KEY),) if frame.showable else ()
