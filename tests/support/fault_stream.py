"""A stream on a broker of the test's own, and the program that watches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer
from fanlight.producer import Producer
from scripts.private_node import VHOST, PrivateNode
from tests.support import watching
from tests.support.feeder import Feeder
from tests.support.timing import wait_until

FPS = 30
MAX_AGE_S = 0.5
RECOVERY_S = 5.0
# Between the readings of the clock that decide on a frame and that stamp it lies one switch of processes.
HANDOVER_S = 0.1


class Fading(Feeder):
    """Pictures that change slowly."""

    def __init__(self, url: str, stream: str) -> None:
        super().__init__(Producer(stream=stream, url=url, fps=FPS), FPS)
        self._image = np.zeros((180, 320, 3), np.uint8)

    def picture(self, capture_ns: int) -> Pixels:
        self._image[:, :, 1] += 3
        return self._image


class Watcher(watching.Watcher):
    def __init__(self, url: str, stream: str) -> None:
        super().__init__(Consumer(stream=stream, name="watcher", url=url, max_age_s=MAX_AGE_S))


@contextmanager
def streaming(node: PrivateNode, stream: str) -> Iterator[tuple[Feeder, Watcher]]:
    """A producer and a consumer on the node, with frames coming; nothing wrong with any of them."""
    with Fading(node.url, stream) as feeder, Watcher(node.url, stream) as watcher:
        watcher.wait_flow(10)
        yield feeder, watcher
        assert watcher.faults(MAX_AGE_S) == []
        assert feeder.producer.failure is None


def only_queue(node: PrivateNode) -> str:
    """The name of the one queue, once there are none of consumers that have ended, or connect anew."""
    found: list[str] = []

    def one() -> bool:
        found[:] = queues(node)
        return len(found) == 1

    wait_until(one, 20, "there is one consumer's queue")
    return found[0]


def queues(node: PrivateNode) -> list[str]:
    """The names of all consumers' queues."""
    names = node.ctl("list_queues", "-p", VHOST, "name").split()
    return [name for name in names if name.startswith("amq.gen-")]
