"""A detector that runs beside a test: its result follows from the pixels, so that each can be checked."""

from __future__ import annotations

import threading
import zlib
from typing import Self

from fanlight.common.model.errors import StreamEnded
from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer, Frame
from fanlight.consumer.results import Results

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
        except StreamEnded:
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
