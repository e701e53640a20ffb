"""Frames of several streams that were captured at the same time: for stereo, and for walls of cameras."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from fanlight.common import clock
from fanlight.common.model import units
from fanlight.common.model.errors import ConfigError, StreamEnded
from fanlight.consumer.frame import Frame
from fanlight.consumer.pair_matcher import PairMatcher

if TYPE_CHECKING:
    from fanlight.consumer import async_consumer, consumer

_TOLERANCE: Final = units.duration(10)


class _Matching:
    """What both kinds of pairs do with the frames of their consumer."""

    def __init__(self, of: consumer.Consumer | async_consumer.Consumer, tolerance: str | float) -> None:
        if len(of.streams) < 2:
            raise ConfigError(
                "consumer", of.streams[0], "pairs need several, as in Consumer(streams=[...])"
            )
        tolerance_s = units.checked("tolerance", tolerance, _TOLERANCE.check)
        self._of = of
        self._matcher = PairMatcher(of.streams, int(tolerance_s * 1e9), int(of.max_age_s * 1e9))

    @property
    def unmatched(self) -> Mapping[str, int]:
        """Frames that became no part of a pair, by stream; `Consumer.stats` counts them as presented."""
        return {name: self._matcher.unmatched[name] for name in self._of.streams}

    def _pair(self, frame: Frame | None) -> tuple[Frame, ...] | None:
        """The pair that a frame completes.

        Raises:
            StreamEnded: one of the streams has ended.
            FanlightError: one of them failed.
        """
        now_ns = clock.monotonic_ns()
        pair = None if frame is None else self._matcher.push(frame, now_ns)
        if pair is not None:
            presented_ns = clock.wall_ns()
            return tuple(
                each._replace(presented_ns=presented_ns, age_s=(now_ns - each.captured_ns) / 1e9)
                for each in pair
            )
        for name in self._of.ended:
            if not self._matcher.waits(name):
                raise self._of.failures.get(name) or StreamEnded(f"stream {name} has ended")
        return None


class Pairs(_Matching):
    """See `pairs`. Thread-safe."""

    _of: consumer.Consumer

    def __init__(self, of: consumer.Consumer, tolerance: str | float) -> None:
        super().__init__(of, tolerance)
        # Re-entrant: what a signal handler may not do is said by `read`.
        self._lock = threading.RLock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Frame, ...]:
        pair = None
        while pair is None:
            try:
                with self._lock:
                    pair = self._pair(self._of.read(timeout_s=1.0))
            except StreamEnded:
                raise StopIteration from None
        return pair


class AsyncPairs(_Matching):
    """See `fanlight.aio.pairs`. For the tasks of one event loop."""

    _of: async_consumer.Consumer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Frame, ...]:
        pair = None
        while pair is None:
            try:
                pair = self._pair(await self._of.read(timeout_s=1.0))
            except StreamEnded:
                raise StopAsyncIteration from None
        return pair


def pairs(consumer: consumer.Consumer, tolerance: str | float = "10ms") -> Pairs:
    """Iterate over frames that were captured at the same time, one of each stream, in their order.

        for left, right in fanlight.pairs(Consumer(streams=["left", "right"]), tolerance="10ms"):
            depth = match(left.image, right.image)

    Capture times are compared by this host's clock, whichever hosts the producers are on. A program that
    takes longer than a frame interval skips pairs; none is older than the consumer's `max_age_s`. Ends
    when the consumer is closed or one of the streams has ended. Keeps at most 16 frames of each stream.

    Args:
        consumer: of two or more streams.
        tolerance: longest time between the first and the last frame of a pair, such as "10ms", or a number
            of seconds. Less than half a frame interval leaves no choice between two frames.

    Returns:
        An iterator, thread-safe; `unmatched` has the number of frames without a partner, by stream.

    Raises:
        ConfigError: the consumer has a single stream, or `tolerance` is no such time.
    """
    return Pairs(consumer, tolerance)


def async_pairs(consumer: async_consumer.Consumer, tolerance: str | float = "10ms") -> AsyncPairs:
    """`fanlight.pairs` for asyncio; use it with `async for`.

    Args:
        consumer: of two or more streams.
        tolerance: longest time between the first and the last frame of a pair, as for `fanlight.pairs`.

    Raises:
        ConfigError: the consumer has a single stream, or `tolerance` is no such time.
    """
    return AsyncPairs(consumer, tolerance)
