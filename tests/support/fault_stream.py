"""A stream under faults: pictures that change, and a program that takes down every frame it gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from common.clock import wall_ns
from common.errors import StreamEnded
from common.fanout.broker import topology
from common.pixels import Pixels
from consumer import Consumer
from producer import Producer
from scripts.private_node import VHOST, PrivateNode
from tests.support.feeder import Feeder
from tests.support.timing import wait_until

FPS = 30
MAX_AGE_S = 0.5
# From a frame's release by the consumer to our reading of the clock: one thread switch, on a busy machine.
HANDOVER_S = 0.1
RECOVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame that a program got: when (monotonic), of whom, and how old it was by our own clock."""

    at_s: float
    epoch: int
    seq: int
    age_s: float


class Fading(Feeder):
    """Pictures that change slowly."""

    def __init__(self, url: str, stream: str) -> None:
        super().__init__(Producer(stream=stream, url=url, fps=FPS), FPS)
        self._image = np.zeros((180, 320, 3), np.uint8)

    def picture(self, capture_ns: int) -> Pixels:
        self._image[:, :, 1] += 3
        return self._image


class Watcher:
    """A program that takes every frame it can get, and keeps what a frame was like."""

    def __init__(self, url: str, stream: str) -> None:
        self.consumer = Consumer(stream=stream, name="watcher", url=url, max_age_s=MAX_AGE_S)
        self.seen: list[Seen] = []  # appended to by one thread, read by the other
        self._thread = threading.Thread(target=self._watch, name="watcher")

    def __enter__(self) -> Self:
        self.consumer.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.consumer.close()
        self._thread.join()

    def after(self, moment_s: float) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.at_s > moment_s]

    def wait_flow(self, timeout_s: float, *, frames: int = 10) -> None:
        """Wait for so many frames from now on."""
        now_s = time.monotonic()
        wait_until(lambda: len(self.after(now_s)) >= frames, timeout_s, f"{frames} frames arrive")

    def silent_s(self) -> float:
        """For how long nothing has come."""
        return time.monotonic() - self.seen[-1].at_s

    def _watch(self) -> None:
        try:
            while True:
                frame = self.consumer.read(timeout_s=1.0)
                if frame is not None:
                    age_s = (wall_ns() - frame.capture_ns) / 1e9
                    self.seen.append(Seen(time.monotonic(), frame.epoch, frame.seq, age_s))
        except StreamEnded:
            return


@contextmanager
def streaming(node: PrivateNode, stream: str) -> Iterator[tuple[Feeder, Watcher]]:
    """A producer and a consumer on the node, with frames coming; no frame is ever older than it may be."""
    with Fading(node.url, stream) as feeder, Watcher(node.url, stream) as watcher:
        watcher.wait_flow(10)
        yield feeder, watcher
        assert max(seen.age_s for seen in watcher.seen) <= MAX_AGE_S + HANDOVER_S
        assert feeder.producer.failure is None


def queues(node: PrivateNode, stream: str) -> list[str]:
    """The names of the consumers' queues of a stream."""
    names = node.ctl("list_queues", "-p", VHOST, "name").split()
    return [name for name in names if name.startswith(f"{topology.exchange(stream)}.")]
