from __future__ import annotations

import asyncio
import inspect

import numpy as np
import pytest

from fanlight import ConfigError, EncodeError, Producer, StreamEnded, aio
from tests.support.broker import tcp_url

IMAGE = np.zeros((48, 64, 3), np.uint8)


def test_it_has_the_arguments_of_a_producer() -> None:
    assert inspect.signature(aio.Producer) == inspect.signature(Producer)
    of_send = inspect.signature(aio.Producer.send)
    assert of_send.parameters == inspect.signature(Producer.send).parameters
    with pytest.raises(ConfigError, match="fps"):
        aio.Producer(url=tcp_url("multiplex"), fps=-1)


def test_once_closed_it_takes_no_more_pictures() -> None:
    async def main() -> None:
        out = aio.Producer(url=tcp_url("multiplex"))
        async with out as same:
            assert same is out
            assert out.epoch
            assert not out.watched
            await out.send(IMAGE, meta={"n": 1})
            with pytest.raises(EncodeError):
                await out.send(np.zeros(5))
        assert out.stats().captured == 1
        assert out.failure is None
        for _ in range(2):
            await out.close()
        with pytest.raises(StreamEnded):
            await out.send(IMAGE)
        with pytest.raises(StreamEnded):
            out.start()

    asyncio.run(main())


def test_other_tasks_run_between_two_pictures() -> None:
    async def main() -> None:
        async with aio.Producer(url=tcp_url("multiplex")) as out:
            sent = 0
            ended = asyncio.Event()
            asyncio.get_running_loop().call_later(0.01, ended.set)
            while not ended.is_set():
                await out.send(IMAGE)
                sent += 1
            assert out.stats().captured == sent

    asyncio.run(main())
