"""`web`: the page of one stream, served while the consumer presents."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

import pytest

from fanlight.common import clock
from fanlight.common.model.errors import ConfigError, ListenError
from fanlight.common.model.frame import EncodedFrame
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sinks import SinkContext
from fanlight.consumer.sinks.web import WebSink
from fanlight.consumer.wall.source import Source
from scripts.lib.ports import free_ports
from tests.support.timing import scaled, wait_until
from tests.support.wall_page import WallPage, wall_page
from tests.unit.consumer.sinks.build import STATS, encoded

pytestmark = pytest.mark.usefixtures("unhurried")

# The producer's clock is ahead by this.
AHEAD_NS = 3600 * 1_000_000_000


class _Access:
    """See `StreamAccess`."""

    def __init__(self) -> None:
        self.keys = 0
        self.ahead_ns = AHEAD_NS

    def request_key(self) -> None:
        self.keys += 1

    def ended_in_order(self) -> bool:
        return False

    def age_ns(self, capture_ns: int) -> int | None:
        age_ns = clock.wall_ns() + self.ahead_ns - capture_ns
        return age_ns if age_ns > -AHEAD_NS // 2 else None


def _opened(port: int, access: _Access | None = None, **settings: Any) -> WebSink:
    consumer = ConsumerSettings(name="c1", stream="cam", **settings)
    return WebSink(SinkContext(consumer, lambda: STATS, access), f"127.0.0.1:{port}")


def _with_page(test: Callable[[WebSink, WallPage, _Access], Coroutine[Any, Any, None]]) -> None:
    async def run(sink: WebSink) -> None:
        async with (
            asyncio.timeout(scaled(20)),
            wall_page(f"http://127.0.0.1:{sink.port}") as page,
        ):
            await test(sink, page, access)

    access = _Access()
    with closing(_opened(free_ports(1)[0], access)) as sink:
        asyncio.run(run(sink))
        assert sink.tick()


def _captured_now(frame: EncodedFrame) -> EncodedFrame:
    return EncodedFrame(frame.header._replace(capture_ns=clock.wall_ns() + AHEAD_NS), frame.body)


def test_it_serves_the_frames_of_its_consumer() -> None:
    async def test(sink: WebSink, page: WallPage, access: _Access) -> None:
        assert (await page.text("hello"))["only"] == "cam"
        key, delta = map(_captured_now, encoded(2))
        sink.receive(key)
        await page.text("streams", lambda message: bool(message["streams"]))
        await page.say("subscribe", stream="cam")
        await asyncio.to_thread(wait_until, lambda: access.keys, 20)
        sink.receive(key)
        sink.receive(delta)
        first, second = await page.frame(), await page.frame()
        assert (first.body, second.body) == (key.body, delta.body)
        behind_us = first.capture_us - first.gateway_us
        assert abs(behind_us * 1000 - AHEAD_NS) < 60_000_000_000  # by the clock of this machine

    _with_page(test)


def test_frames_of_unknown_age_are_left_out_up_to_a_keyframe() -> None:
    async def test(sink: WebSink, page: WallPage, access: _Access) -> None:
        key, delta = map(_captured_now, encoded(2))
        sink.receive(key)
        await page.text("streams", lambda message: bool(message["streams"]))
        await page.say("subscribe", stream="cam")
        await asyncio.to_thread(wait_until, lambda: access.keys, 20)
        asked = access.keys
        access.ahead_ns = 0  # its clock was set forward, and it has not said so yet
        sink.receive(key)
        assert access.keys > asked
        access.ahead_ns = AHEAD_NS
        sink.receive(delta)
        later = EncodedFrame(key.header._replace(seq=2, capture_ns=clock.wall_ns() + AHEAD_NS), key.body)
        sink.receive(later)
        assert (await page.frame()).seq == 2

    _with_page(test)


def test_the_list_follows_what_comes() -> None:
    async def test(sink: WebSink, page: WallPage, _access: _Access) -> None:
        assert (await page.text("streams"))["streams"] == []
        for size in ((64, 48), (80, 48)):
            for frame in encoded(2, size=size):
                sink.receive(frame)
            streams = (await page.text("streams"))["streams"]
            assert [(each["width"], each["height"]) for each in streams] == [size]

    _with_page(test)


def test_frames_that_nobody_watches_are_not_kept() -> None:
    access = _Access()
    with closing(_opened(free_ports(1)[0], access)) as sink:
        for frame in encoded(3):
            sink.receive(frame)
        assert access.keys == 0


def test_a_source_that_ends_late_does_not_end_the_next_one() -> None:
    came: list[str] = []

    def source(name: str) -> Source:
        return sink.source("cam", lambda _frame, _gateway_ns: came.append(name), None)

    with closing(_opened(free_ports(1)[0])) as sink:
        earlier, later = source("earlier"), source("later")
        earlier.start()
        later.start()
        earlier.stop()
        sink.receive(encoded(1)[0])
    assert came == ["later"]


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: cannot listen there"):
            _opened(port)


def test_beyond_this_machine_it_needs_a_token() -> None:
    context = SinkContext(ConsumerSettings(), lambda: STATS)
    with pytest.raises(ConfigError, match=r"--sink web .*token"):
        WebSink(context, "0.0.0.0:8080")


def test_it_ends_with_pages_that_are_open() -> None:
    async def test(sink: WebSink, page: WallPage, _access: _Access) -> None:
        await page.text("hello")
        code, _ = await asyncio.gather(page.closed(), asyncio.to_thread(sink.close))
        assert code == 1001

    _with_page(test)
