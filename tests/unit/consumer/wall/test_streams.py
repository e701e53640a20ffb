"""Which streams can be seen, and which are received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fanlight.common import clock
from fanlight.common.model.errors import BrokerRefused, StreamEnded
from fanlight.consumer.wall.feed import State
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.streams import Streams
from tests.support.timing import scaled, until
from tests.unit.consumer.wall.build import ScriptedSource, live
from tests.unit.consumer.wall.serving import announced


class _Watched:
    """Streams whose sources the test plays, and what a page is told. To be made on an event loop."""

    def __init__(self, *patterns: str, grace_s: float) -> None:
        self.sources: list[ScriptedSource] = []
        self.changes = 0
        self.states: list[tuple[str, State]] = []
        settings = WallSettings(streams=patterns or ("*",))
        self.streams = Streams(settings, self._source, grace_s=grace_s)
        self.streams.watchers.add(self)

    def _source(self, *arguments: Any) -> ScriptedSource:
        self.sources.append(ScriptedSource(*arguments))
        return self.sources[-1]

    def streams_changed(self) -> None:
        self.changes += 1

    def state_changed(self, stream: str, state: State) -> None:
        self.states.append((stream, state))


def _on_loop(
    test: Callable[[_Watched], Coroutine[Any, Any, None]], *patterns: str, grace_s: float = 0.05
) -> None:
    async def run() -> None:
        watched = _Watched(*patterns, grace_s=grace_s)
        try:
            await asyncio.wait_for(test(watched), scaled(10))
        finally:
            await watched.streams.stop()
        assert all(source.stopped for source in watched.sources)

    asyncio.run(run())


def test_a_stream_is_received_once_however_many_view_it() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced((announced("cam"),))
        assert watched.sources == []
        for _ in range(5):
            watched.streams.join("cam")
        assert len(watched.sources) == 1
        assert watched.sources[0].started

    _on_loop(test)


def test_it_is_not_received_any_more_when_nobody_views_it() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced((announced("cam"),))
        queues = [watched.streams.join("cam") for _ in range(2)]
        for queue in queues:
            watched.streams.leave(queue)
            watched.streams.leave(queue)  # twice is harmless
        await until(lambda: watched.sources[0].stopped)
        assert watched.streams.feeds == {}
        watched.streams.join("cam")
        assert len(watched.sources) == 2

    _on_loop(test)


def test_a_viewer_that_returns_soon_finds_it_running() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced((announced("cam"),))
        watched.streams.leave(watched.streams.join("cam"))
        watched.streams.join("cam")
        assert len(watched.sources) == 1
        assert not watched.sources[0].stopped

    _on_loop(test, grace_s=3600)


def test_only_streams_that_are_wanted_and_announced_can_be_viewed() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced(tuple(map(announced, ("cam", "door1", "garden"))))
        assert [each.stream for each in watched.streams.live] == ["cam", "door1"]
        for stream in ("garden", "door2"):
            with pytest.raises(StreamEnded, match=f"no stream {stream} now"):
                watched.streams.join(stream)
        assert watched.sources == []

    _on_loop(test, "cam", "door*")


def test_watchers_are_told_about_changes_only() -> None:
    async def test(watched: _Watched) -> None:
        for _ in range(2):
            watched.streams.announced((announced("cam"),))
        assert watched.changes == 1
        watched.streams.announced(())
        assert watched.changes == 2

    _on_loop(test)


def test_viewers_stay_when_their_stream_is_not_announced_any_more() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced((announced("cam"),))
        watched.streams.join("cam")
        watched.streams.announced(())
        assert not watched.sources[0].stopped
        watched.streams.join("cam")

    _on_loop(test)


def test_watchers_are_told_why_no_frames_come() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced((announced("cam"),))
        watched.streams.join("cam")
        await until(lambda: watched.states)
        stream, state = watched.states[0]
        assert (stream, state.live, state.reason) == ("cam", False, watched.sources[0].reason)

    _on_loop(test)


def test_a_stream_that_failed_is_tried_again_by_its_next_viewer() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced((announced("cam"),))
        queue = watched.streams.join("cam")
        watched.sources[0].fail(BrokerRefused("no such right"))
        await until(lambda: queue.failure)
        watched.streams.leave(queue)
        watched.streams.join("cam")
        assert len(watched.sources) == 2

    _on_loop(test)


def test_drops_of_viewers_that_have_gone_are_counted() -> None:
    async def test(watched: _Watched) -> None:
        watched.streams.announced((announced("cam"),))
        queue = watched.streams.join("cam")
        queue.push(live(1), clock.monotonic_ns())
        watched.streams.leave(queue)
        assert watched.streams.counters.drops.total() == 1

    _on_loop(test)


def test_the_end_wakes_all_viewers() -> None:
    async def run() -> None:
        watched = _Watched(grace_s=1)
        watched.streams.announced((announced("cam"),))
        waiting = asyncio.create_task(watched.streams.join("cam").get())
        await asyncio.sleep(0)
        await watched.streams.stop()
        with pytest.raises(StreamEnded):
            await waiting

    asyncio.run(run())
