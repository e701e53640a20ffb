"""The one watcher of the tests: a program that reads every frame it can get and keeps what it observed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from fanlight.common.clock import wall_ns
from fanlight.common.model.errors import StreamEnded
from fanlight.consumer import Consumer, Frame
from tests.support.timing import wait_until


@dataclass(frozen=True, slots=True)
class Observation:
    """One frame that was read.

    Attributes:
        at_s: when (monotonic).
        age_s: how old the frame was when it was presented, as the consumer says.
        shared: whether it came from a hub.
        right: whether its pixels were the right ones, if somebody compared.
    """

    at_s: float
    epoch: int
    seq: int
    capture_ns: int
    age_s: float
    shared: bool
    right: bool
    shape: tuple[int, ...]


class Watcher:
    """Reads a consumer in a thread of its own while it is entered.

    Args:
        is_right: compares the pixels of a frame with those that were sent.

    Attributes:
        seen: what was read so far, in order; appended to by that thread.
    """

    def __init__(self, consumer: Consumer, is_right: Callable[[Frame], bool] | None = None) -> None:
        self.consumer = consumer
        self.seen: list[Observation] = []
        self._is_right = is_right
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self.consumer.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()
        self._thread.join()

    def observe(self, frame: Frame) -> Observation:
        """What is kept of a frame."""
        # Wrong pixels of a picture that was taken away meanwhile are what `valid` is there to say.
        right = self._is_right is None or self._is_right(frame) or not frame.valid
        return Observation(
            time.monotonic(), frame.epoch, frame.seq, frame.capture_ns, frame.age_s,
            self.consumer.stats().shared, right, frame.image.shape,
        )  # fmt: skip

    @property
    def last(self) -> Observation | None:
        return self.seen[-1] if self.seen else None

    def after(self, moment_s: float) -> list[Observation]:
        """What was read after that moment (monotonic)."""
        return [seen for seen in list(self.seen) if seen.at_s > moment_s]

    def captured_after(self, moment_s: float) -> list[Observation]:
        """Frames that were captured after that moment (monotonic), by a producer of this host."""
        moment_ns = wall_ns() - int((time.monotonic() - moment_s) * 1e9)
        return [seen for seen in list(self.seen) if seen.capture_ns > moment_ns]

    def wait_captured(self, moment_s: float, frames: int = 10, timeout_s: float = 20.0) -> float:
        """Wait for so many frames captured after that moment; how long after it the first one was read."""
        wait_until(
            lambda: len(self.captured_after(moment_s)) >= frames, timeout_s, f"{frames} fresh frames arrive"
        )
        return self.captured_after(moment_s)[0].at_s - moment_s

    def wait_flow(self, timeout_s: float = 20.0, *, frames: int = 10) -> None:
        """Wait for so many frames from now on."""
        mark = len(self.seen) + frames
        wait_until(lambda: len(self.seen) >= mark, timeout_s, f"{frames} frames arrive")

    def silent_s(self) -> float:
        """For how long nothing has come."""
        return time.monotonic() - self.seen[-1].at_s

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

    def _watch(self) -> None:
        try:
            while True:
                frame = self.consumer.read(timeout_s=1.0)
                if frame is not None:
                    self.seen.append(self.observe(frame))
        except StreamEnded:
            return
