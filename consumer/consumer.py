"""The API: a program takes the newest frame each time it is ready for one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from common import units
from common.address import DEFAULT_URL
from common.errors import StreamEnded
from common.settings import URL
from consumer.frame import Frame
from consumer.reception import Reception
from consumer.settings import ConsumerSettings, playout_value
from consumer.stats import ConsumerStats


class Consumer:
    """One consumer of a stream, with a queue of its own.

        for frame in Consumer(stream="cam", name="detector"):
            detect(frame.image)

    A loop that takes longer than a frame interval skips frames; it never gets a backlog.

    Args:
        name: as operators read it in RabbitMQ's console.
        playout: `latest`: the newest frame at once; `sync`: each at its capture time plus `delay_s`.
        max_age_s: a frame older than this is never handed out.
        url: the broker; by default `FANLIGHT_URL` or else the local one.

    Raises:
        ConfigError: a setting cannot be used.
    """

    def __init__(
        self,
        stream: str = "cam",
        name: str = "consumer",
        *,
        playout: str = "latest",
        delay_s: float = 0.15,
        max_age_s: float = 0.5,
        url: str | None = None,
    ) -> None:
        self._reception = Reception(
            ConsumerSettings(
                name=name,
                stream=stream,
                playout=units.checked("playout", playout, playout_value),
                delay_s=delay_s,
                max_age_s=max_age_s,
                url=url or os.environ.get(URL.variable, DEFAULT_URL),
            )
        )
        self._started = False

    def start(self) -> Self:
        """Subscribe; returns at once. Called by itself with the first frame asked for."""
        if not self._started:
            self._started = True
            self._reception.start()
        return self

    def read(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for the next frame and return it; None if none came in time.

        Raises:
            StreamEnded: the consumer was closed.
            BrokerRefused: the broker refused it for good.
        """
        self.start()
        frame = self._reception.take(timeout_s)
        if frame is None and self._reception.ended:
            raise self._reception.failure or StreamEnded("this consumer was closed")
        return frame

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the consumer is closed; leaving the loop closes it."""
        try:
            while True:
                # Bounded, so that Ctrl-C is answered on platforms whose waits are not interruptible.
                frame = self.read(timeout_s=1.0)
                if frame is not None:
                    yield frame
        except StreamEnded:
            return
        finally:
            self.close()

    def close(self) -> None:
        """Unsubscribe and end, within 2 s. Safe to call twice, and from any thread."""
        self._reception.stop()

    def stats(self) -> ConsumerStats:
        """The figures as they stand."""
        return self._reception.stats()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
