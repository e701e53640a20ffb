"""A reader that stops is told from one that is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fanlight.consumer.wall.stall import StallTimer
from tests.support.timing import scaled

LIMIT_S = 0.02


def stalls(waiting: Callable[[int], tuple[int, int]], checks: int = 40) -> bool:
    """Whether it calls within so many checks; `waiting` is asked with their number."""

    async def run() -> bool:
        over = asyncio.Event()
        calls = 0
        stalled = False

        def now() -> tuple[int, int]:
            nonlocal calls
            calls += 1
            if calls == checks:
                over.set()
            return waiting(calls)

        def on_stalled() -> None:
            nonlocal stalled
            stalled = True
            over.set()

        timer = StallTimer(now, LIMIT_S, on_stalled)
        await asyncio.wait_for(over.wait(), scaled(10))
        timer.cancel()
        return stalled

    return asyncio.run(run())


def test_bytes_that_nobody_takes_are_a_stall() -> None:
    assert stalls(lambda _: (7, 1000))


def test_so_they_are_after_a_while_of_reading() -> None:
    assert stalls(lambda check: (7, 1000 - check if check < 20 else 500))


def test_a_slow_reader_is_none() -> None:
    assert not stalls(lambda check: (7, 100_000 - check))
    assert not stalls(lambda check: (check, 1000))
    assert not stalls(lambda check: (7, 1000 if check % 4 else 999))


def test_a_stream_that_sends_nothing_is_none() -> None:
    assert not stalls(lambda _: (7, 0))


def test_a_cancelled_timer_calls_nothing() -> None:
    async def run() -> None:
        called = asyncio.Event()
        timer = StallTimer(lambda: (0, 1), LIMIT_S, called.set)
        timer.cancel()
        await asyncio.sleep(4 * LIMIT_S)
        assert not called.is_set()

    asyncio.run(run())
