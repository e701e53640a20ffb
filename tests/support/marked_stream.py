"""A stream whose every picture can be told from every other, and checked pixel by pixel."""

from __future__ import annotations

import numpy as np

from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer, Frame
from fanlight.producer import Producer
from tests.support import watching
from tests.support.feeder import Feeder


def marked(capture_ns: int, width: int, height: int) -> Pixels:
    """The picture of that time: noise that follows from it."""
    return np.random.default_rng(capture_ns).integers(0, 256, (height, width, 3), np.uint8)


class Marking(Feeder):
    """A feeder of marked pictures.

    Args:
        max_age_s: longer where no frame may be dropped, however slow the machine is.
        access: password, ca, cert, key, token of the producer.
    """

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
        max_age_s: float = 0.5,
        **access: str,
    ) -> None:
        producer = Producer(
            stream=stream,
            codec=codec,
            fps=fps,
            gop_s=gop_s,
            payload_frames=payload_frames,
            max_age_s=max_age_s,
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


class Watcher(watching.Watcher):
    """Compares pixels, if `exact`, with those that were sent (raw or PNG, no scaling)."""

    def __init__(self, consumer: Consumer, exact: bool = True) -> None:
        super().__init__(consumer, is_marked if exact else None)


def is_marked(frame: Frame) -> bool:
    """Whether these are the pixels of that time."""
    height, width = frame.image.shape[:2]
    return np.array_equal(frame.image, marked(frame.capture_ns, width, height))
