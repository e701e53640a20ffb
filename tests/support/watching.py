"""A program that reads every frame it can get and records an observation of each."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import Generic, Protocol, Self, TypeVar

from fanlight.common.model.errors import StreamEnded
from fanlight.consumer import Consumer, Frame
from tests.support.timing import wait_until


class Timed(Protocol):
    """What is recorded of a frame: at least the time of its arrival (monotonic)."""

    @property
    def at_s(self) -> float: ...


ObservationT = TypeVar("ObservationT", bound=Timed)


class Watching(Generic[ObservationT]):
    """Reads a consumer in a thread of its own while it is entered."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.seen: list[ObservationT] = []  # appended to by one thread, read by the other
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    @abstractmethod
    def observe(self, frame: Frame) -> ObservationT:
        """What to record of a frame."""

    def __enter__(self) -> Self:
        self.consumer.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()
        self._thread.join()

    def after(self, moment_s: float) -> list[ObservationT]:
        return [seen for seen in list(self.seen) if seen.at_s > moment_s]

    def wait_flow(self, timeout_s: float = 10.0, *, frames: int = 10) -> None:
        """Wait for so many frames from now on."""
        now_s = time.monotonic()
        wait_until(lambda: len(self.after(now_s)) >= frames, timeout_s, f"{frames} frames arrive")

    def _watch(self) -> None:
        try:
            while True:
                frame = self.consumer.read(timeout_s=1.0)
                if frame is not None:
                    self.seen.append(self.observe(frame))
        except StreamEnded:
            return
