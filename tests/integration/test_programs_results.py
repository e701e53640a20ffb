"""What the table in docs/programs.md says of `Results`."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from fanlight import Codec, FrameHeader, Ordered, Result, Results, StreamEnded, ordered
from tests.integration.test_programs_threads import join, one_signal, started
from tests.support.headers import header
from tests.support.life_cycles import check_every_order, entered
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage

NOWHERE = "amqp://u:p@127.0.0.1:1/v"
SENDERS = 4
_NUMBERS = itertools.count()


def now(stream: str) -> FrameHeader:
    """Of the next frame, captured just now."""
    return header(next(_NUMBERS), Codec.RAW, (64, 48), stream=stream)._replace(capture_ns=time.time_ns())


def send_until(ending: threading.Event, out: Results, stream: str) -> None:
    while not ending.wait(0.01):
        out.send(now(stream), data={"thread": threading.get_ident()})


@contextmanager
def sending(url: str, stream: str) -> Iterator[Results]:
    """Results of frames that are captured just now, sent by several threads."""
    ending = threading.Event()
    with Results(stream, "faces", url=url) as out:
        senders = started([partial(send_until, ending, out, stream)] * SENDERS)
        try:
            yield out
        finally:
            ending.set()
            join(senders)


def found(url: str, stream: str) -> Ordered:
    return ordered(stream, "faces", deadline=1.0, url=url)


def take(results: Ordered) -> Result:
    result = results.read(timeout_s=scaled(20))
    assert result is not None
    return result


@usage("Results", "threads", "any of them may `send`")
def test_several_threads_send_results(broker_url: str, stream: str) -> None:
    heard: set[int] = set()
    with sending(broker_url, stream), found(broker_url, stream) as results:
        while len(heard) < SENDERS:
            heard.add(take(results).data["thread"])


@usage("Results", "asyncio", "`send` never waits")
def test_a_coroutine_sends_results_and_reads_them_by_a_thread(broker_url: str, stream: str) -> None:
    async def work() -> Result:
        with Results(stream, "faces", url=broker_url) as out, found(broker_url, stream) as results:
            reading = asyncio.create_task(asyncio.to_thread(take, results))
            while not reading.done():
                out.send(now(stream))
                await asyncio.sleep(0.01)
            return await reading

    assert asyncio.run(work()).name == "faces"


def send_until_error(out: Results) -> None:
    while True:
        out.send(now("cam"))


@pytest.mark.brokerless
@usage("Results", "signal", "`send`, `stats`, `close`")
def test_a_signal_handler_may_send_results_and_close() -> None:
    for seed in range(3):
        out = Results(url=NOWHERE).start()

        def handle(out: Results = out) -> None:
            out.send(now("cam"))
            out.stats()
            out.close()

        with one_signal(handle, seed), pytest.raises(StreamEnded):
            send_until_error(out)


@pytest.mark.brokerless
@usage("Results", "break", "without `close`: ends by itself")
def test_results_that_nobody_keeps_end() -> None:
    before = threading.active_count()
    out = Results(url=NOWHERE).start()
    gone = weakref.ref(out)
    del out
    gc.collect()
    assert gone() is None
    wait_until(lambda: threading.active_count() <= before, 20, "its thread has ended")


SENDS: dict[str, Callable[[Results], object]] = {
    "send": lambda out: out.send(now("cam")),
    "start": Results.start,
    "with": entered,
    "stats": Results.stats,
    "close": Results.close,
}


@pytest.mark.brokerless
@usage("Results", "end", "`StreamEnded`, but `close`, `stats`")
def test_results_work_in_every_order_or_say_that_they_were_closed() -> None:
    check_every_order(lambda: Results(url=NOWHERE), SENDS, 2)
