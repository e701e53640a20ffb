from __future__ import annotations

import asyncio
import inspect
import pickle
import threading

import numpy as np
import pytest

from fanlight import ConfigError, EncodeError, Producer, StreamEnded, WrongProcess, aio
from tests.integration.test_programs_fork import told_in_child
from tests.support.broker import tcp_url
from tests.support.timing import scaled
from tests.support.usage import usage

IMAGE = np.zeros((48, 64, 3), np.uint8)


def test_it_has_the_arguments_of_a_producer() -> None:
    assert inspect.signature(aio.Producer) == inspect.signature(Producer)
    of_send = inspect.signature(aio.Producer.send)
    assert of_send.parameters == inspect.signature(Producer.send).parameters
    with pytest.raises(ConfigError, match="fps"):
        aio.Producer(url=tcp_url("multiplex"), fps=-1)


@usage("aio.Producer", "end", "`StreamEnded`, but `close`, `stats`")
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


@usage("aio.Producer", "threads", "an event loop each")
def test_the_event_loops_of_several_threads_send() -> None:
    out = aio.Producer(url=tcp_url("multiplex"))

    async def send() -> None:
        for _ in range(50):
            await out.send(IMAGE)

    threads = [threading.Thread(target=lambda: asyncio.run(send())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(20))
    asyncio.run(out.close())
    assert out.stats().captured == 150


@usage("aio.Producer", "asyncio", "any task may `send`, which never waits")
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


@usage("aio.Producer", "fork", "`WrongProcess`; `close` does nothing")
def test_a_child_that_uses_what_its_parent_made_is_told_what_to_do() -> None:
    out = aio.Producer(url=tcp_url("multiplex")).start()
    told = told_in_child(
        lambda: asyncio.run(out.send(IMAGE)), out.start, out.stats, lambda: asyncio.run(out.close())
    )
    asyncio.run(out.close())
    assert all(line.startswith("WrongProcess: this Producer belongs to") for line in told[:-1]), told
    assert told[-1] == "returned None"


def test_it_cannot_be_passed_to_another_process() -> None:
    with pytest.raises(WrongProcess, match="a Producer cannot be copied"):
        pickle.dumps(aio.Producer(url=tcp_url("multiplex")))
