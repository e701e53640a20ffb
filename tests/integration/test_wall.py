"""The wall between real producers, a real broker and pages that are not in a browser."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest

from fanlight.common import codec as codecs
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.broker_streams import BrokerStreams
from fanlight.consumer.wall.message import Kind
from fanlight.consumer.wall.server import WallServer
from fanlight.consumer.wall.settings import WallSettings
from scripts.lib.ports import free_ports
from tests.support.broker import tcp_url
from tests.support.commands import Command, run, running
from tests.support.fault_stream import Fading
from tests.support.headers import header
from tests.support.roles import as_user
from tests.support.scrape import health, scrape
from tests.support.timing import scaled, wait_until
from tests.support.wall_page import WallPage, wall_page

SMALL: Final = ("--size", "320x180", "--source", "test")


@contextmanager
def wall(url: str, *streams: str) -> Iterator[str]:
    """A wall of these streams; yields the address of its page."""
    settings = WallSettings(url=url, listen=("127.0.0.1", 0), streams=streams)
    listening = threading.Event()
    ports: list[int] = []

    def on_listening(port: int) -> None:
        ports.append(port)
        listening.set()

    server = WallServer(settings, partial(BrokerStreams, settings, grace_s=0.1), on_listening)
    thread = threading.Thread(target=server.run, name="wall")
    thread.start()
    try:
        assert listening.wait(scaled(30)), "it does not listen"
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        server.stop()
        thread.join(scaled(10))
        assert not thread.is_alive()


def on_page(url: str, test: Callable[[WallPage], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(scaled(60)), wall_page(url) as page:
            await test(page)

    asyncio.run(run())


async def wait(holds: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_until, holds, 40, what)


@pytest.mark.parametrize("codec", list(Codec))
def test_frames_of_every_codec_reach_a_page(broker_url: str, stream: str, codec: Codec) -> None:
    async def test(page: WallPage) -> None:
        await page.say("subscribe", stream=stream)
        came = await page.frame()
        described = await page.text("subscribed")
        assert (described["width"], described["height"]) == (came.width, came.height) == (320, 180)
        assert (came.kind, described["codec"]) == (
            (Kind.H264, "h264") if codec is Codec.H264 else (Kind.JPEG, "jpeg")
        )
        assert came.key
        assert abs(came.gateway_us - came.capture_us) < 60_000_000  # the same host
        head = header(came.seq, Codec(described["codec"]), (320, 180))
        codecs.decoder(head.codec).decode(EncodedFrame(head, came.body)).pixels()

    with (
        running("producer", "--url", broker_url, "--stream", stream, "--codec", codec, *SMALL),
        wall(broker_url, stream) as url,
    ):
        on_page(url, test)


def test_streams_are_received_once_and_only_while_they_are_watched(url: str, stream: str) -> None:
    async def test(page: WallPage) -> None:
        await page.text("streams", lambda message: [s["stream"] for s in message["streams"]] == [stream])
        assert not producer.watched
        for _ in range(2):
            await page.say("subscribe", stream=stream)
            async with wall_page(page_url) as other:
                await other.say("subscribe", stream=stream, **{"as": "mp4"})
                await asyncio.gather(page.frame(), other.frame())
                await wait(lambda: len(producer.stats().consumers) == 1, "one subscription")
            await page.say("unsubscribe", stream=stream)
            await wait(lambda: not producer.watched, "nobody watches")

    with Fading(url, stream) as feeder, wall(url, "*") as page_url:
        producer = feeder.producer
        on_page(page_url, test)


def test_a_page_stays_when_the_producer_is_replaced(broker_url: str, stream: str) -> None:
    async def test(page: WallPage) -> None:
        with Fading(broker_url, stream):
            await page.say("subscribe", stream=stream)
            await page.frame()
            before = await page.text("subscribed")
        await page.text("state", lambda message: not message["live"])
        with _jpeg(broker_url, stream):
            after = await page.text("subscribed")
            assert (after["codec"], after["epoch"] != before["epoch"]) == ("jpeg", True)
            assert (await page.frame(lambda message: message.kind == Kind.JPEG)).flags == 3
            await page.text("state", lambda message: bool(message["live"]))

    with wall(broker_url, stream) as url:
        on_page(url, test)


@contextmanager
def _jpeg(url: str, stream: str) -> Iterator[Command]:
    with running("producer", "--url", url, "--stream", stream, "--codec", "jpeg", *SMALL) as command:
        yield command


def test_the_command_serves_and_ends_as_it_should(broker_url: str, stream: str) -> None:
    port, metrics = free_ports(2)

    async def test(page: WallPage) -> None:
        await page.say("subscribe", stream=stream)
        await page.frame()

    where = ("--url", broker_url, "--listen", f":{port}")
    with (
        running("producer", "--url", broker_url, "--stream", stream, *SMALL),
        running(
            "consumer.wall", *where, "--metrics", f":{metrics}", "--streams", f"{stream},x*"
        ) as command,
    ):
        command.wait_line(f"the page is at http://127.0.0.1:{port}/")
        on_page(f"http://127.0.0.1:{port}", test)
        assert health(metrics) == (200, "serving")
        assert scrape(metrics)("wall_sent_frames_total") >= 1
        with running("consumer.wall", *where) as second:
            assert second.wait() == 1
            assert [line.text for line in second.err.lines if "cannot listen" in line.text]
        _ends_well(command)


def test_the_sink_serves_while_the_consumer_presents(broker_url: str, stream: str) -> None:
    (port,) = free_ports(1)

    async def test(page: WallPage) -> None:
        assert (await page.text("hello"))["only"] == stream
        await page.text("streams", lambda message: bool(message["streams"]))
        await page.say("subscribe", stream=stream)
        assert (await page.frame()).key
        await page.frame(lambda message: not message.key)

    where = ("--url", broker_url, "--stream", stream)
    sinks = ("--sink", f"web:127.0.0.1:{port}", "--sink", "status")
    with running("producer", *where, *SMALL), running("consumer", *where, *sinks) as command:
        command.wait_line(f"the page is at http://127.0.0.1:{port}/")
        on_page(f"http://127.0.0.1:{port}", test)
        assert command.out.wait_for(lambda text: "fps" in text, scaled(30))
        _ends_well(command)


def _ends_well(command: Command) -> None:
    command.signal(signal.SIGINT)
    assert command.wait() == 0, command.err.text
    assert "Traceback" not in command.err.text


def test_a_wall_that_may_not_read_ends_with_one_clear_line(broker_url: str) -> None:
    (port,) = free_ports(1)
    url = as_user(broker_url, "producer")
    with running("consumer.wall", "--url", url, "--listen", f":{port}") as command:
        assert command.wait() == 1
        assert "refused" in command.err.lines[-1].text.lower()


def test_the_doctor_checks_what_a_wall_needs(broker_url: str) -> None:
    code, command = run("consumer.wall", "--url", broker_url, "--doctor")
    assert code == 0, command.out.text
    assert "aiohttp and segno are installed" in command.out.text
    assert run("consumer.wall", "--url", broker_url, "--stall", "3s")[0] == 2


def test_without_a_broker_the_one_producer_is_the_wall(stream: str) -> None:
    async def test(page: WallPage) -> None:
        await page.text("streams", lambda message: [s["stream"] for s in message["streams"]] == [stream])
        await page.say("subscribe", stream=stream)
        await page.frame()

    url = tcp_url("multiplex")
    with wall(url, "*") as page_url, running("producer", "--url", url, "--stream", stream, *SMALL):
        on_page(page_url, test)
