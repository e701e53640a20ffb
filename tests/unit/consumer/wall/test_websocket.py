"""One page's socket, of a wall that really serves."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest
from aiohttp import WSCloseCode

from fanlight.common import clock
from fanlight.common.model.errors import BrokerRefused
from fanlight.common.model.frame import Codec
from fanlight.consumer.wall.message import Kind
from fanlight.consumer.wall.websocket import Acknowledgements
from tests.support.found import found
from tests.support.timing import scaled, until, wait_until
from tests.support.wall_page import WallPage, wall_page
from tests.unit.consumer.sinks.build import encoded
from tests.unit.consumer.wall.build import MS, frame
from tests.unit.consumer.wall.serving import Served, announced, served

pytestmark = pytest.mark.usefixtures("unhurried")

BIG: Final = 50_000


def _with_page(test: Callable[[Served, WallPage], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def run(wall: Served) -> None:
        async with asyncio.timeout(scaled(30)), wall_page(wall.url) as page:
            await test(wall, page)

    with served(**settings) as wall:
        asyncio.run(run(wall))


def test_a_page_is_greeted_with_what_it_has_to_know() -> None:
    async def test(_wall: Served, page: WallPage) -> None:
        hello = await page.text("hello")
        assert (hello["version"], hello["max_age_ms"]) == (1, 250)
        assert "only" not in hello
        streams = await page.text("streams")
        assert [each["stream"] for each in streams["streams"]] == ["cam"]

    _with_page(test, max_age_s=0.25)


def test_frames_are_described_before_they_come() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        frames = encoded(2)
        await asyncio.to_thread(wall.send, *frames)
        described = await page.text("subscribed")
        assert (described["as"], described["codec"]) == ("frames", "h264")
        for each in frames:
            came = await page.frame()
            assert (came.kind, came.id, came.seq, came.body) == (
                Kind.H264, described["id"], each.header.seq, each.body,
            )  # fmt: skip
            assert came.key is each.header.key

    _with_page(test)


def test_a_change_is_described_again_and_resets_the_decoder() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        await asyncio.to_thread(wall.send, encoded(1)[0], encoded(1, of=Codec.JPEG)[0])
        assert (await page.text("subscribed"))["codec"] == "h264"
        assert (await page.text("subscribed"))["codec"] == "jpeg"
        assert [(await page.frame()).flags, (await page.frame()).flags] == [3, 3]

    _with_page(test)


def test_mp4_begins_with_its_initialization_segment() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam", **{"as": "mp4"})
        await asyncio.to_thread(wall.send, *encoded(2))
        assert "avc1" in (await page.text("subscribed"))["mime"]
        kinds = [(await page.frame()).kind for _ in range(3)]
        assert kinds == [Kind.MP4_INIT, Kind.MP4_FRAGMENT, Kind.MP4_FRAGMENT]

    _with_page(test)


def test_pictures_come_in_the_size_that_a_page_wants() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam", max=[32, 32], **{"as": "jpeg"})
        await asyncio.to_thread(wall.send, encoded(1)[0])
        picture = await page.frame()
        assert (picture.kind, picture.width, picture.height) == (Kind.JPEG, 32, 24)

    _with_page(test)


def test_a_stream_that_is_not_there_is_refused_in_words() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="garden")
        refused = await page.text("refused")
        assert refused["stream"] == "garden"
        assert refused["reason"] == "there is no stream garden now: is its producer running?"
        wall.on_loop(lambda: wall.streams.announced((announced("garden"),)))
        await page.text("streams", lambda message: message["streams"][0]["stream"] == "garden")
        await page.say("subscribe", stream="garden")
        await asyncio.to_thread(wall.send, frame(0))
        await page.frame()

    _with_page(test)


def test_a_subscription_that_fails_is_refused_in_words() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        source = await asyncio.to_thread(wall.source)
        source.fail(BrokerRefused("user viewer may not read it"))
        assert (await page.text("refused"))["reason"] == "user viewer may not read it"

    _with_page(test)


def test_a_stream_that_nobody_views_any_more_is_not_received() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        source = await asyncio.to_thread(wall.source)
        assert not source.stopped
        await page.say("unsubscribe", stream="cam")
        await until(lambda: source.stopped)
        await page.say("subscribe", stream="cam")
        await until(lambda: len(wall.sources) == 2)
        await page.socket.close()
        await until(lambda: wall.sources[1].stopped)

    _with_page(test)


def test_a_page_can_go_on_with_the_next_keyframe() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        await asyncio.to_thread(wall.send, frame(0), frame(1))
        await page.frame()
        asked = wall.source().key_requests
        await page.say("keyframe", stream="cam")
        await until(lambda: wall.source().key_requests > asked)
        await asyncio.to_thread(wall.send, frame(2), frame(10))
        came = await page.frame(lambda message: message.seq > 1)
        assert (came.seq, came.flags) == (10, 3)

    _with_page(test)


def test_the_clock_is_the_gateways() -> None:
    async def test(_wall: Served, page: WallPage) -> None:
        before_us = clock.wall_ns() // 1000
        await page.say("clock", sent_ms=12.5)
        reply = await page.text("clock")
        assert reply["sent_ms"] == 12.5
        assert before_us <= reply["wall_us"] <= clock.wall_ns() // 1000

    _with_page(test)


def test_reports_of_pages_are_counted() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        await page.say("report", stream="cam", shown=60, dropped=2, age_ms=31, via="webcodecs")
        await until(lambda: wall.streams.counters.shown == 60)
        assert [each.age_s for each in wall.streams.pages] == [0.031]

    _with_page(test)


@pytest.mark.parametrize("text", ["no JSON", '{"type":"subscribe","stream":"<b>"}'])
def test_a_malformed_message_closes_the_socket_of_its_page(text: str) -> None:
    async def test(_wall: Served, page: WallPage) -> None:
        await page.socket.send_str(text)
        assert await page.closed() == WSCloseCode.POLICY_VIOLATION

    _with_page(test)


def test_a_binary_message_closes_it_too() -> None:
    async def test(_wall: Served, page: WallPage) -> None:
        await page.socket.send_bytes(b"\0" * 100)
        assert await page.closed() == WSCloseCode.UNSUPPORTED_DATA

    _with_page(test)


def test_an_oversized_message_closes_it_too() -> None:
    async def test(_wall: Served, page: WallPage) -> None:
        await page.socket.send_str(json.dumps({"type": "x" * 5000}))
        assert await page.closed() == WSCloseCode.MESSAGE_TOO_BIG

    _with_page(test)


def test_a_page_that_acknowledges_nothing_any_more_gets_nothing_until_it_does() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        await page.say("ack", bytes=0)
        await page.say("clock", sent_ms=0)
        await page.text("clock")  # the acknowledgement came
        seq = 0

        def send_until_held() -> None:
            def held() -> bool:
                nonlocal seq
                wall.send(frame(seq, key=True))
                seq += 1
                return wall.streams.counters.held > 0

            wait_until(held, 20, "it is held")

        await asyncio.to_thread(send_until_held)
        sent = wall.streams.counters.frames
        for _ in range(sent):
            await page.frame()
        await page.say("ack", bytes=page.received_bytes)
        wall.send(frame(seq, key=False))
        for number in range(1000, 2000):  # until one comes after the acknowledgement
            wall.send(frame(number, key=True))
            if wall.streams.counters.frames > sent:
                break
            await asyncio.sleep(0.01)
        resumed = await page.frame()
        assert resumed.flags == 3

    _with_page(test)


def test_a_page_that_does_not_read_costs_the_others_nothing_and_little_memory() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        with socket.create_connection(("127.0.0.1", wall.port), scaled(10)) as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.sendall(_subscribe_request(wall.port))
            await page.say("subscribe", stream="cam")
            await until(lambda: len(wall.streams.queues) == 2)
            for seq in range(200):
                wall.source().send(frame(seq, key=seq % 10 == 0, size_bytes=BIG), clock.wall_ns())
                assert (await page.frame()).seq == seq
            waiting = [len(queue) for queue in wall.streams.queues]
            assert max(waiting) * BIG <= 1024 * 1024
            drops = sum(queue.drops.total() for queue in wall.streams.queues)
            assert drops * BIG >= 200 * BIG - 4 * 1024 * 1024

    _with_page(test)


def _subscribe_request(port: int) -> bytes:
    body = json.dumps({"type": "subscribe", "stream": "cam"}).encode()
    return (
        (
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode()
        + bytes([0x81, 0x80 | len(body), 0, 0, 0, 0])
        + body
    )


def test_messages_are_overdue_from_the_first_acknowledgement_on() -> None:
    acknowledgements = Acknowledgements()
    acknowledgements.sent(100, 0)
    assert not acknowledgements.overdue(10_000 * MS)
    acknowledgements.acknowledged(0)
    acknowledgements.sent(100, 0)
    acknowledgements.sent(100, 200 * MS)
    assert not acknowledgements.overdue(300 * MS)
    assert acknowledgements.overdue(301 * MS)
    acknowledgements.acknowledged(200)
    assert not acknowledgements.overdue(500 * MS)
    assert acknowledgements.overdue(501 * MS)
    acknowledgements.acknowledged(10**15)
    assert not acknowledgements.overdue(10_000 * MS)


def test_results_come_to_pages_that_want_them_and_to_no_others() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("results", stream="cam", wanted=True)  # of no stream that it shows
        await page.say("subscribe", stream="cam")
        await page.say("results", stream="cam", wanted=True)
        await until(lambda: wall.result_sources)
        (source,) = wall.result_sources
        async with wall_page(wall.url) as other:
            await other.say("subscribe", stream="cam")
            await asyncio.to_thread(wall.send, *encoded(1))
            await other.frame()
            source.send(found(0, boxes=((1.0, 2.0, 3.0, 4.0),)))
            assert (await page.text("results"))["results"][0]["boxes"] == [[1, 2, 3, 4]]
            await other.say("clock", sent_ms=1)
            await other.text("clock", lambda each: each["sent_ms"] == 1)
            assert not other.came("results")

    _with_page(test)


def test_results_end_with_the_wish_the_subscription_and_the_page() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        async def wanted(several: int) -> None:
            await page.say("subscribe", stream="cam")
            await page.say("results", stream="cam", wanted=True)
            await until(lambda: len(wall.result_sources) == several)

        await wanted(1)
        await page.say("results", stream="cam", wanted=False)
        await until(lambda: wall.result_sources[0].stopped)
        await wanted(2)
        await page.say("unsubscribe", stream="cam")
        await until(lambda: wall.result_sources[1].stopped)
        await wanted(3)
        await page.socket.close()
        await until(lambda: wall.result_sources[2].stopped)

    _with_page(test)


def test_why_there_are_no_results_is_said() -> None:
    async def test(wall: Served, page: WallPage) -> None:
        await page.say("subscribe", stream="cam")
        await page.say("results", stream="cam", wanted=True)
        await until(lambda: wall.result_sources)
        wall.result_sources[0].fail(BrokerRefused("no permission"))
        assert await page.text("results") == {
            "type": "results", "stream": "cam", "results": [], "reason": "no permission",
        }  # fmt: skip

    _with_page(test)
