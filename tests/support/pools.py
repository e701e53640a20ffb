"""Workers of a pool, and pictures that survive any codec and can be told from one another."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pika.exceptions import ChannelClosedByBroker

from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import Pixels
from fanlight.common.transport.amqp import topology
from fanlight.consumer import Consumer, Frame
from tests.support import watching
from tests.support.marked_stream import Marking
from tests.support.roles import channel_of
from tests.support.timing import wait_until

_BLOCK_PX = 16
_LEVELS = (40, 128, 216)
_TOLERANCE = 40


def _colours(capture_ns: int, width: int, height: int) -> Pixels:
    """The colour of each block, from the top left."""
    blocks = (-(-height // _BLOCK_PX), -(-width // _BLOCK_PX), 3)
    return np.random.default_rng(capture_ns).choice(np.array(_LEVELS, np.uint8), blocks)


class Blocks(Marking):
    """Feeds pictures of coloured blocks, which follow from the time."""

    def picture(self, capture_ns: int) -> Pixels:
        width, height = self.size
        blocks = _colours(capture_ns, width, height)
        return blocks.repeat(_BLOCK_PX, 0).repeat(_BLOCK_PX, 1)[:height, :width]


def is_right(frame: Frame) -> bool:
    """Whether this is the whole picture of that time, in its own size."""
    height, width = frame.image.shape[:2]
    middle = _BLOCK_PX // 2
    found = frame.image[middle::_BLOCK_PX, middle::_BLOCK_PX].astype(int)
    sent = _colours(frame.capture_ns, width, height)[: found.shape[0], : found.shape[1]]
    same_size = (frame.header.width, frame.header.height) == (width, height)
    return same_size and bool(np.abs(found - sent).max() <= _TOLERANCE)


class Worker(watching.Watcher):
    """A member of a pool in a thread of its own; it finishes no frame while it is `busy`.

    Attributes:
        codecs: of the frames that it got.
        has_frame: whether it is busy with one.
        ended: whether no more come.
    """

    def __init__(self, url: str, stream: str, pool: str = "workers", **more: Any) -> None:
        self.codecs: set[Codec] = set()
        self.has_frame = self.ended = False
        self._free = threading.Event()
        self._free.set()
        super().__init__(Consumer(stream, "worker", pool=pool, url=url, **more), is_right)

    def busy(self, busy: bool) -> None:
        if busy:
            self._free.clear()
        else:
            self._free.set()

    def observe(self, frame: Frame) -> watching.Observation:
        self.codecs.add(frame.header.codec)
        return super().observe(frame)

    def _watch(self) -> None:
        for frame in self.consumer:
            self.seen.append(self.observe(frame))
            if not self._free.is_set():
                self.has_frame = True
                self._free.wait()
                self.has_frame = False
        self.ended = True

    def __exit__(self, *stop: object) -> None:
        self.busy(False)
        super().__exit__(*stop)


def taken(workers: Sequence[watching.Watcher]) -> Counter[tuple[int, int]]:
    """How often each frame was taken by any of them."""
    return Counter((seen.epoch, seen.seq) for worker in workers for seen in list(worker.seen))


def wait_all_work(workers: Sequence[watching.Watcher], frames: int = 3) -> None:
    """Wait until each of them has taken so many further frames."""
    marks = [len(worker.seen) + frames for worker in workers]
    wait_until(
        lambda: all(len(worker.seen) >= mark for worker, mark in zip(workers, marks, strict=True)),
        15,
        "every worker gets frames",
    )


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """What the broker itself says about the queue of a pool.

    Attributes:
        ready: messages that wait for a member.
    """

    ready: int
    members: int


def pool_queue(url: str, stream: str, pool: str = "workers") -> QueueFigures | None:
    """The figures of a pool's queue; None if there is none."""
    with channel_of(url) as channel:
        try:
            found = channel.queue_declare(topology.pool_queue(stream, pool), passive=True).method
        except ChannelClosedByBroker:
            return None
        return QueueFigures(found.message_count, found.consumer_count)


def wait_members(url: str, stream: str, members: int) -> None:
    """Wait until the pool has so many members, as the broker says."""

    def found() -> bool:
        queue = pool_queue(url, stream)
        return (queue.members if queue else 0) == members

    wait_until(found, 15, f"{members} members")
