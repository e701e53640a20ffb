"""What a pool found, in the order of the frames: over a real broker, with real workers."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from fanlight.common.model.errors import BrokerRefused, ConfigError, StreamEnded, WrongProcess
from fanlight.common.model.result import Result
from fanlight.consumer import Consumer
from fanlight.consumer.ordered import Ordered, ordered
from fanlight.consumer.results import Results
from tests.support.detecting import Detecting
from tests.support.pools import Blocks
from tests.support.roles import as_user, channel_of
from tests.support.timing import scaled
from tests.support.usage import usage

# Nothing is late on a loaded machine.
DEADLINE = "5s"


@contextmanager
def pool(url: str, stream: str, workers: int = 3) -> Iterator[list[Detecting]]:
    """A stream, and a pool that examines it."""
    with ExitStack() as stack:
        stack.enter_context(Blocks(url, stream, codec="h264"))
        yield [
            stack.enter_context(
                Detecting(
                    Consumer(stream, f"w{number}", pool="workers", url=url),
                    Results(stream, "pool", url=url),
                )
            )
            for number in range(workers)
        ]


def read(found: Ordered, count: int) -> list[Result]:
    results: list[Result] = []
    for _ in range(count):
        result = found.read(scaled(15))
        assert result is not None, f"{len(results)} of {count} came: {found.stats()}"
        results.append(result)
    return results


def test_results_of_all_workers_come_in_order_and_once(broker_url: str, stream: str) -> None:
    with (
        pool(broker_url, stream) as workers,
        Results(stream, "another", url=broker_url) as another,
        ordered(stream, "pool", deadline=DEADLINE, url=broker_url) as found,
    ):
        another.start()
        results = read(found, 30)
        seqs = [result.seq for result in results]
        assert all(one < after for one, after in itertools.pairwise(seqs))
        assert {result.name for result in results} == {"pool"}
        keys = {(result.epoch, result.seq) for result in results}
        assert keys <= {key for worker in workers for key in list(worker.sent)}
        assert found.stats().given == 30
        assert found.stats().refused == 0


@usage("ordered", "threads", "each result goes to one of them")
@usage("ordered", "asyncio", "`read` by `to_thread`")
def test_several_threads_share_the_results(broker_url: str, stream: str) -> None:
    with pool(broker_url, stream), ordered(stream, "pool", deadline=DEADLINE, url=broker_url) as found:

        async def all_read() -> list[list[Result]]:
            return await asyncio.gather(*(asyncio.to_thread(read, found, 5) for _ in range(3)))

        seqs = [result.seq for results in asyncio.run(all_read()) for result in results]
        assert len(set(seqs)) == 15


@usage("ordered", "break", "goes on: iterate it again, or `close`")
@usage("ordered", "end", "`StreamEnded`, but `close`, `stats`")
@usage("ordered", "signal", "`close`, `stats`")
def test_it_may_be_left_and_closed(broker_url: str, stream: str) -> None:
    def end(*_: object) -> None:
        found.close()

    with pool(broker_url, stream, workers=1):
        found = ordered(stream, "pool", deadline=DEADLINE, url=broker_url)
        first = next(iter(found))
        for result in found:
            assert result.seq > first.seq
            break
        former = signal.signal(signal.SIGUSR1, end)
        try:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            for result in found:
                assert result.seq > first.seq
        finally:
            signal.signal(signal.SIGUSR1, former)
        for use in (found.read, found.start, lambda: iter(found)):
            with pytest.raises(StreamEnded):
                use()
        assert found.stats().given >= 2
        found.close()


@usage("ordered", "fork", "`WrongProcess`; `close` does nothing")
def test_it_belongs_to_one_process(broker_url: str, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ordered(stream, "pool", url=broker_url) as found:
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            found.close()
            for use in (found.read, found.start, found.stats):
                with pytest.raises(WrongProcess, match="this Ordered belongs to another process"):
                    use()
        assert found.read(0.01) is None, "it still works in its own"


def test_a_viewer_may_read_them_and_who_may_not_is_told(broker_url: str, stream: str) -> None:
    viewer, producer = as_user(broker_url, "viewer"), as_user(broker_url, "producer")
    with channel_of(broker_url) as channel:  # so that nobody has to wait for the first detector
        channel.exchange_declare(f"fanlight.{stream}.results", "fanout", durable=True)
    with (
        pool(broker_url, stream, workers=1),
        ordered(stream, "pool", deadline=DEADLINE, url=viewer) as found,
    ):
        read(found, 3)
    with ordered(stream, "pool", url=producer) as refused, pytest.raises(BrokerRefused):
        refused.read(scaled(15))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"deadline": 0}, "deadline 0 cannot be used: allowed is a duration"),
        ({"deadline": "2m"}, "deadline '2m' cannot be used: .* up to 1m"),
        ({"deadline": "400"}, "400ms or 400s"),
        ({"name": "a b"}, "--name 'a b' cannot be used"),
        ({"stream": "a.b"}, "--stream 'a.b' cannot be used"),
        ({"url": "tcp+threads://127.0.0.1:5000"}, "results need a broker"),
    ],
)
def test_what_it_cannot_do_is_refused(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ordered(**wrong)
