"""A detector that runs beside a test: its result follows from the pixels, so that each can be checked."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer, Frame
from fanlight.consumer.results import Results
from tests.support.timing import scaled

# Long enough that a loaded machine answers within it nearly always; what it does not is accounted for.
DELAY_S = 1.0
MAX_AGE_S = 2.0
SYNC: dict[str, Any] = {"playout": "sync", "delay_s": DELAY_S, "max_age_s": MAX_AGE_S}

Key = tuple[int, int]


def found_in(image: Pixels) -> int:
    """What the detector finds: another number for every other picture."""
    return zlib.crc32(image.tobytes())


class Detecting:
    """Examines what `consumer` reads, in a thread of its own, while it is entered.

    Attributes:
        sent: (epoch, seq) of what was examined and passed on.
    """

    def __init__(self, consumer: Consumer, out: Results) -> None:
        self.consumer = consumer
        self.out = out
        self.sent: list[Key] = []
        self._thread = threading.Thread(target=self._detect, name="detector", daemon=True)

    def __enter__(self) -> Self:
        self.out.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()
        self._thread.join()
        self.out.close()

    def _detect(self) -> None:
        try:
            while True:
                frame = self.consumer.read(timeout_s=1.0)
                if frame is not None:
                    self.send(frame)
        except FanlightError:  # closed, or refused by the broker: see `out.failure`
            return

    def send(self, frame: Frame) -> None:
        height, width = frame.image.shape[:2]
        self.out.send(
            frame, boxes=[(0, 0, width, height)], labels=["all"], data={"sum": found_in(frame.image)}
        )
        self.sent.append((frame.epoch, frame.seq))


def misplaced(frame: Frame, *, scaled: bool = False) -> list[str]:
    """Results that are not of exactly this frame, or not in its pixels.

    Args:
        scaled: the detector has seen it in another size.
    """
    height, width = frame.image.shape[:2]
    return [
        f"{name} of frame {frame.seq}: {result}"
        for name, result in frame.results.items()
        if (result.stream, result.name, result.epoch, result.seq, result.capture_ns)
        != (frame.header.stream, name, frame.epoch, frame.seq, frame.capture_ns)
        or (result.data["sum"] != found_in(frame.image) and not scaled)
        or result.boxes != ((0, 0, width, height),)
    ]


@contextmanager
def detector(url: str, stream: str, name: str = "faces", **options: Any) -> Iterator[Detecting]:
    consumer = Consumer(stream, f"{name}-in", url=url, **{"via": "broker", **options})
    with Detecting(consumer, Results(stream, name, url=url)) as detecting:
        yield detecting


def read_until(
    consumer: Consumer, enough: Callable[[list[Frame]], object], *, other_size: bool = False
) -> list[Frame]:
    """Read frames until there are enough of them; they are right."""
    frames: list[Frame] = []
    deadline_s = time.monotonic() + scaled(20)
    while not enough(frames):
        assert time.monotonic() < deadline_s, f"not among {len(frames)} frames"
        frame = consumer.read(timeout_s=1)
        if frame is not None:
            frames.append(frame)
    check(frames, scaled=other_size)
    return frames


def read(consumer: Consumer, frames: int, detectors: int = 1) -> list[Frame]:
    """Read until so many frames have come with results of so many; all frames, in order."""
    return read_until(
        consumer, lambda read: sum(len(frame.results) >= detectors for frame in read) >= frames
    )


def check(frames: list[Frame], *, scaled: bool = False) -> None:
    assert [fault for frame in frames for fault in misplaced(frame, scaled=scaled)] == []
    keys = [(frame.epoch, frame.seq) for frame in frames]
    assert keys == sorted(set(keys))
    assert all(frame.age_s <= MAX_AGE_S for frame in frames)
