"""The wall when its broker goes away: pages stay connected, and are told."""

from __future__ import annotations

import asyncio

from scripts.private_node import PrivateNode
from tests.integration.test_wall import on_page, wall
from tests.support.fault_stream import Fading
from tests.support.timing import scaled
from tests.support.wall_page import WallPage


def test_a_broker_that_was_killed_and_is_back(node: PrivateNode, stream: str) -> None:
    async def test(page: WallPage) -> None:
        await page.text("streams", lambda message: bool(message["streams"]))
        await page.say("subscribe", stream=stream)
        await page.text("state", lambda message: bool(message["live"]))
        await asyncio.to_thread(node.kill)
        down = await page.text("state", lambda message: not message["live"])
        assert down["stream"] == stream
        await page.text("streams", lambda message: not message["streams"])
        await asyncio.to_thread(node.start, scaled(60))
        await page.text("state", lambda message: bool(message["live"]))
        await page.text("streams", lambda message: bool(message["streams"]))

    with Fading(node.url, stream), wall(node.url, "test-*") as url:
        on_page(url, test)
