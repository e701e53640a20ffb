"""A program that sends pictures at a steady rate, whatever the broker does."""

from __future__ import annotations

import threading
import time
from typing import Any, Self

from fanlight.common.model.pixels import Pixels
from fanlight.producer import Producer


class Feeder:
    """Sends what `picture` returns, from a thread of its own while the context is entered."""

    def __init__(self, producer: Producer, fps: float) -> None:
        self.producer = producer
        self._interval_s = 1 / fps
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="feeder")

    def picture(self, capture_ns: int) -> Pixels:
        """The picture of that time (Unix)."""
        raise NotImplementedError

    def meta(self, capture_ns: int) -> dict[str, Any] | None:
        """What to say of that picture."""
        return None

    def __enter__(self) -> Self:
        self.producer.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.producer.close()

    def _feed(self) -> None:
        while not self._stopping.wait(self._interval_s):
            capture_ns = time.time_ns()
            picture, meta = self.picture(capture_ns), self.meta(capture_ns)
            self.producer.send(picture, capture_ns=capture_ns, meta=meta)
