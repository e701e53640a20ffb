"""A stream under faults: pictures that change, and a program that takes down every frame it gets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fanlight.common.clock import wall_ns
from fanlight.common.model.pixels import Pixels
from fanlight.common.transport.amqp import topology
from fanlight.consumer import Consumer, Frame
from fanlight.producer import Producer
from scripts.private_node import VHOST, PrivateNode
from tests.support.feeder import Feeder
from tests.support.watching import Watching

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


class Watcher(Watching[Seen]):
    def __init__(self, url: str, stream: str) -> None:
        super().__init__(Consumer(stream=stream, name="watcher", url=url, max_age_s=MAX_AGE_S))

    def observe(self, frame: Frame) -> Seen:
        age_s = (wall_ns() - frame.capture_ns) / 1e9
        return Seen(time.monotonic(), frame.epoch, frame.seq, age_s)

    def silent_s(self) -> float:
        """For how long nothing has come."""
        return time.monotonic() - self.seen[-1].at_s


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
