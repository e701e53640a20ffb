"""The API for an asyncio program that reads frames."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Self

from fanlight.common.forked import OfOneProcess
from fanlight.common.model.errors import FanlightError, StreamEnded
from fanlight.common.runtime.asynchronous import in_thread, with_parameters_of
from fanlight.consumer import consumer
from fanlight.consumer.frame import Frame
from fanlight.consumer.several_streams import SeveralStreams
from fanlight.consumer.stats import ConsumerStats


class Consumer(OfOneProcess):
    """`fanlight.Consumer` for asyncio: the same arguments, and the same rules.

        async with fanlight.aio.Consumer(stream="cam") as frames:
            async for frame in frames:
                await examine(frame.image)

    One thread per stream decodes, and only while a task waits for a frame; its age is checked, and it is
    counted, when the task gets it. Each frame goes to one of the tasks that read. A task that is cancelled
    takes no frame with it. It may be used from several event loops, also one after the other.

    Raises:
        ConfigError: a setting cannot be used.
    """

    @with_parameters_of(consumer.Consumer)
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__()
        self._consumer = _Threaded(*arguments, **keywords)

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of its streams."""
        return self._consumer.streams

    @property
    def max_age_s(self) -> float:
        """Frames older than this are never presented."""
        return self._consumer.max_age_s

    @property
    def ended(self) -> tuple[str, ...]:
        """The names of those of its streams that give no more frames."""
        return self._consumer.ended

    @property
    def failures(self) -> Mapping[str, FanlightError]:
        """Why streams ended by themselves, by their names. Of several streams the others go on."""
        return self._consumer.failures

    @property
    def producer_away(self) -> float | None:
        """Seconds since the last sign of a producer: see `fanlight.Consumer.producer_away`."""
        return self._consumer.producer_away

    def start(self) -> Self:
        """Subscribe; returns at once. Idempotent; `read` and iteration call it.

        Raises:
            StreamEnded: the consumer was closed.
            SinkError: with `share`, this host has no shared memory.
        """
        self.check_process()
        self._consumer.start()
        return self

    async def read(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for the next frame and return it; None on a timeout.

        Args:
            timeout_s: longest wait in seconds, from 0; None for no limit.

        Raises:
            StreamEnded: the consumer was closed.
            BrokerRefused: the broker refused the consumer permanently.
            TokenRefused: a producer without a broker refused the token.
            ConfigError: `timeout_s` is no such number.
        """
        self.check_process()
        streams, timeout_s = self._consumer.begin(timeout_s)
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        waker = LoopWaker()
        try:
            streams.join(waker)
            while True:
                frame = streams.next(waker)
                if frame is not None:
                    return frame
                if streams.ended:
                    raise self._consumer.why_ended()
                left_s = streams.left_s(deadline_s)
                if left_s == 0:
                    return None
                await waker.wait(left_s)
        finally:
            streams.leave(waker)

    def __aiter__(self) -> Frames:
        """Yield frames until the consumer is closed. It may be iterated again after leaving the loop.

        Raises:
            StreamEnded: the consumer was closed before.
        """
        self.start()
        return Frames(self)

    async def close(self) -> None:
        """Unsubscribe, within 2 s. Idempotent. When cancelled, it still closes everything first."""
        if not self.inherited:
            await in_thread(self._consumer.close, "close consumer")

    def stats(self, stream: str | None = None) -> ConsumerStats:
        """A snapshot of the statistics.

        Args:
            stream: name of one of the streams; may be left out if there is only one.

        Raises:
            ConfigError: there is no such stream, or there are several and none is named.
        """
        self.check_process()
        return self._consumer.stats(stream)

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Frames:
    """What `async for` uses. No generator, so that nothing is left to be closed when a loop is left."""

    def __init__(self, of: Consumer) -> None:
        self._consumer = of

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        frame = None
        while frame is None:
            try:
                frame = await self._consumer.read()
            except StreamEnded:
                raise StopAsyncIteration from None
        return frame


class LoopWaker:
    """Wakes the coroutine that made it, from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> bool:
        """End `wait`, or else the next one. Thread-safe. False if the event loop was closed."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            return False
        return True

    async def wait(self, timeout_s: float | None) -> None:
        """Wait for `wake`, or the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


class _Threaded(consumer.Consumer):
    """The consumer behind an asynchronous one: threads read even a single stream."""

    _threaded = True
    _several: SeveralStreams

    def why_ended(self) -> FanlightError:
        """The error that says why no more frames come."""
        return self._why_ended()

    def begin(self, timeout_s: float | None) -> tuple[SeveralStreams, float | None]:
        """What to read from, and the checked timeout."""
        timeout_s = self._begin(timeout_s)
        return self._several, timeout_s
