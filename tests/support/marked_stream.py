"""A stream whose every picture can be told from every other, and checked pixel by pixel."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer, Frame
from fanlight.producer import Producer
from tests.support.feeder import Feeder
from tests.support.watching import Watching


def marked(capture_ns: int, width: int, height: int) -> Pixels:
    """The picture of that time: noise that follows from it."""
    return np.random.default_rng(capture_ns).integers(0, 256, (height, width, 3), np.uint8)


class Marking(Feeder):
    """A feeder of marked pictures. `access`: password, ca, cert, key, token of the producer."""

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        codec: str = "raw",
        fps: float = 30,
        size: tuple[int, int] = (64, 48),
        gop_s: float = 1.0,
        payload_frames: int = 1,
        **access: str,
    ) -> None:
        producer = Producer(
            stream=stream,
            codec=codec,
            fps=fps,
            gop_s=gop_s,
            payload_frames=payload_frames,
            url=url,
            password=access.get("password"),
            ca=access.get("ca"),
            cert=access.get("cert"),
            key=access.get("key"),
            token=access.get("token"),
        )
        super().__init__(producer, fps)
        self.size = size

    def picture(self, capture_ns: int) -> Pixels:
        return marked(capture_ns, *self.size)


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame that a program got: when (monotonic), by which way, and whether its pixels were right."""

    at_s: float
    epoch: int
    seq: int
    capture_ns: int
    age_s: float
    shared: bool
    right: bool
    shape: tuple[int, ...]


class Watcher(Watching[Seen]):
    """Compares pixels, too.

    Attributes:
        exact: compare the pixels with those that were sent (raw or PNG, no scaling).
    """

    def __init__(self, consumer: Consumer, exact: bool = True) -> None:
        super().__init__(consumer)
        self.exact = exact

    def is_right(self, frame: Frame) -> bool:
        """Whether these are the pixels of that time."""
        height, width = frame.image.shape[:2]
        return np.array_equal(frame.image, marked(frame.capture_ns, width, height))

    def look(self, frame: Frame) -> Seen:
        # Wrong pixels of a picture that was taken away meanwhile are what `valid` is there to tell.
        right = not self.exact or self.is_right(frame) or not frame.valid
        return Seen(
            time.monotonic(), frame.epoch, frame.seq, frame.capture_ns, frame.age_s,
            frame.memory is not None, right, frame.image.shape,
        )  # fmt: skip

    @property
    def last(self) -> Seen | None:
        return self.seen[-1] if self.seen else None

    def longest_pause_s(self, since_s: float) -> float:
        """The longest time without a frame since then."""
        times = [since_s, *(seen.at_s for seen in self.after(since_s))]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    def faults(self, max_age_s: float = 0.5) -> list[str]:
        """What must never be: an old frame, one out of order, wrong pixels."""
        found = [f"wrong pixels: {seen}" for seen in self.seen if not seen.right]
        found += [f"too old: {seen}" for seen in self.seen if seen.age_s > max_age_s]
        latest: dict[int, int] = {}
        for seen in self.seen:
            if seen.seq <= latest.get(seen.epoch, -1):
                found.append(f"out of order: {seen}")
            latest[seen.epoch] = seen.seq
        return found
