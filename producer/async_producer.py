"""The API for an asyncio program that publishes its own pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

from fanlight.common.forked import OfOneProcess
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.meta import JSON
from fanlight.common.runtime.asynchronous import OtherTasks, in_thread, with_parameters_of
from fanlight.producer import producer
from fanlight.producer.stats import ProducerStats


class Producer(OfOneProcess):
    """`fanlight.Producer` for asyncio: the same arguments, and the same rules.

        async with fanlight.aio.Producer(stream="cam") as out:
            await out.send(image)

    Raises:
        ConfigError: a setting cannot be used.
    """

    @with_parameters_of(producer.Producer)
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__()
        self._producer = producer.Producer(*arguments, **keywords)

    @property
    def epoch(self) -> int:
        """Random number of this producer, in the header of each of its frames."""
        return self._producer.epoch

    @property
    def watched(self) -> bool:
        """True if the stream has a consumer, as far as is known. Without one, pictures are not encoded."""
        return self._producer.watched

    @property
    def failure(self) -> FanlightError | None:
        """Why it ended by itself; None while it runs and after `close`."""
        return self._producer.failure

    def start(self) -> Self:
        """Start the threads; returns at once. Idempotent; `send` calls it.

        Raises:
            StreamEnded: the producer was closed.
        """
        self.check_process()
        self._producer.start()
        return self

    async def send(
        self,
        image: npt.NDArray[np.generic],
        *,
        capture_ns: SupportsIndex | None = None,
        meta: Mapping[str, JSON] | None = None,
    ) -> None:
        """Publish one picture, as `fanlight.Producer.send`. Lets other tasks run first; waits for nothing.

        When cancelled it has not sent. The picture is copied on the event loop: 1 ms for 1920x1080.

        Args:
            image, capture_ns, meta: as for `fanlight.Producer.send`.

        Raises:
            EncodeError: `image` is no picture, or too large.
            ConfigError: `capture_ns` or `meta` cannot be used.
            StreamEnded: the producer was closed.
            FanlightError: the producer failed permanently.
        """
        self.check_process()
        await OtherTasks()
        self._producer.send(image, capture_ns=capture_ns, meta=meta)

    async def close(self) -> None:
        """Stop publishing, within 2 s. Idempotent. When cancelled, it still closes everything first."""
        if not self.inherited:
            await in_thread(self._producer.close, "close producer")

    def stats(self) -> ProducerStats:
        """A snapshot of the statistics."""
        self.check_process()
        return self._producer.stats()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
