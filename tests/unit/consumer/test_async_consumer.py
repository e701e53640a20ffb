from __future__ import annotations

import asyncio
import inspect
import itertools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fanlight import ConfigError, Consumer, StreamEnded, aio
from tests.support.broker import tcp_url
from tests.support.life_cycles import ALWAYS_WORKS, CLOSES

URL = tcp_url("multiplex")


async def started(consumer: aio.Consumer) -> None:
    consumer.start()


async def iterated(consumer: aio.Consumer) -> None:
    aiter(consumer)


async def entered(consumer: aio.Consumer) -> None:
    async with consumer as same:
        assert same is consumer


async def counted(consumer: aio.Consumer) -> None:
    assert consumer.stats().presented == 0


CALLS: dict[str, Callable[[aio.Consumer], Awaitable[object]]] = {
    "start": started,
    "read": lambda consumer: consumer.read(timeout_s=0),
    "iterate": iterated,
    "with": entered,
    "stats": counted,
    "close": aio.Consumer.close,
}


def test_every_order_of_calls_works_or_says_that_it_was_closed() -> None:
    async def check(order: tuple[str, ...]) -> None:
        consumer = aio.Consumer(url=URL)
        closed = False
        for name in order:
            if closed and name not in ALWAYS_WORKS:
                with pytest.raises(StreamEnded, match="was closed"):
                    await CALLS[name](consumer)
            else:
                await CALLS[name](consumer)
            closed = closed or name in CLOSES
        await consumer.close()

    async def main() -> None:
        for order in itertools.product(CALLS, repeat=3):
            await check(order)

    asyncio.run(main())


def test_it_has_the_arguments_of_a_consumer() -> None:
    assert inspect.signature(aio.Consumer) == inspect.signature(Consumer)
    with pytest.raises(ConfigError, match="max-age"):
        aio.Consumer(url=URL, max_age_s=-1)
    with pytest.raises(TypeError, match="colour"):
        aio.Consumer(url=URL, colour=1)  # type: ignore[call-arg]


def test_its_streams_and_their_state() -> None:
    consumer = aio.Consumer(streams=["left", "right"], url=URL)
    assert (consumer.streams, consumer.ended, consumer.failures) == (("left", "right"), (), {})
    assert consumer.max_age_s == 0.5
    assert consumer.stats("left").presented == 0
    with pytest.raises(ConfigError, match="left, right"):
        consumer.stats()


@pytest.mark.parametrize("timeout_s", [-1, math.nan, "1", True])
def test_a_timeout_that_cannot_be_used_is_refused(timeout_s: Any) -> None:
    async def main() -> None:
        async with aio.Consumer(url=URL) as consumer:
            with pytest.raises(ConfigError, match=r"^timeout_s .*number of seconds"):
                await consumer.read(timeout_s=timeout_s)

    asyncio.run(main())
