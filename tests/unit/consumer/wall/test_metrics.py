"""The wall's metrics."""

from __future__ import annotations

import asyncio

from fanlight.common.observe.exposition import Exposition
from fanlight.consumer.wall.metrics import add_wall_metrics, wall_health
from tests.support.timing import wait_until
from tests.support.wall_page import wall_page
from tests.unit.consumer.wall.build import frame
from tests.unit.consumer.wall.serving import Served, served

LINE = 'fanlight_wall_pictures_not_made_total{name="wall"} 1.0'


def _exposed(wall: Served) -> str:
    add = lambda metrics: add_wall_metrics(metrics, wall.streams)  # noqa: E731 - one line
    return Exposition("fanlight_wall", {"name": "wall"}, add)(None)[1].decode()


def test_they_say_what_is_watched_and_sent() -> None:
    async def run() -> None:
        async with wall_page(wall.url) as page:
            await page.say("subscribe", stream="cam")
            await asyncio.to_thread(wall.send, frame(0), frame(1))
            await page.frame()
            await page.frame()
            await page.say("clock", sent_ms=0)
            await page.text("clock")
            text = await asyncio.to_thread(_exposed, wall)
        for line in (
            'fanlight_wall_streams{name="wall"} 1.0',
            'fanlight_wall_received_streams{name="wall"} 1.0',
            'fanlight_wall_pages{name="wall"} 1.0',
            'fanlight_wall_viewers{name="wall",stream="cam"} 1.0',
            'fanlight_wall_sent_frames_total{name="wall"} 2.0',
            'fanlight_wall_dropped_frames_total{name="wall",reason="slow"} 0.0',
            'fanlight_wall_delay_seconds_count{name="wall"} 2.0',
        ):
            assert line in text.splitlines()

    with served() as wall:
        asyncio.run(run())


def test_a_picture_that_cannot_be_made_is_counted() -> None:
    async def run() -> None:
        async with wall_page(wall.url) as page:
            await page.say("subscribe", stream="cam", **{"as": "jpeg"})
            await asyncio.to_thread(wall.send, frame(0))
            await asyncio.to_thread(wait_until, lambda: LINE in _exposed(wall).splitlines(), 20)

    with served() as wall:
        asyncio.run(run())


def test_before_the_first_page_there_is_no_delay() -> None:
    with served() as wall:
        text = _exposed(wall)
    assert "worst_delay" not in text
    assert 'fanlight_wall_pages{name="wall"} 0.0' in text


def test_health() -> None:
    assert not wall_health().ok
    with served() as wall:
        assert wall_health(wall.streams).ok
