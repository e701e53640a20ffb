"""`/s/NAME.*`: real requests to a real server, whose streams the test plays."""

from __future__ import annotations

import asyncio
import io
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import av
import pytest
from aiohttp import web

from fanlight.common import clock
from fanlight.common.model.errors import StreamEnded
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.players import Players, serve_players
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.streams import Streams
from tests.support.timing import scaled, until
from tests.unit.consumer.sinks.build import encoded
from tests.unit.consumer.wall.build import ScriptedSource
from tests.unit.consumer.wall.serving import announced

pytestmark = pytest.mark.usefixtures("unhurried")

VIDEO = ["mp4", "ts", "h264"]


class Gateway:
    """A server on loopback with one stream, `cam`, and a client."""

    def __init__(self, client: aiohttp.ClientSession, **players: float) -> None:
        self.client = client
        self.source: ScriptedSource | None = None
        self.port = 0
        self.streams = Streams(WallSettings(), self._make_source, grace_s=3600)
        self.streams.announced((announced("cam"),))
        self._players = Players(self.streams, **players)

    def _make_source(self, *arguments: Any) -> ScriptedSource:
        self.source = ScriptedSource(*arguments)
        return self.source

    async def start(self) -> None:
        application = web.Application()
        serve_players(application, self._players)
        self.runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]

    def url(self, file: str) -> str:
        return f"http://127.0.0.1:{self.port}/s/{file}"

    def send(self, *frames: EncodedFrame) -> None:
        assert self.source is not None
        for frame in frames:
            self.source.send(frame, clock.wall_ns())

    def end(self) -> None:
        assert self.source is not None
        self.source.fail(StreamEnded("the producer has ended"))

    async def whole(self, file: str, frames: list[EncodedFrame]) -> bytes:
        """The response to a reader that comes before these frames, after which the stream ends."""
        reading = asyncio.ensure_future(self.client.get(self.url(file)))
        await until(lambda: self.streams.queues)
        self.send(*frames)
        self.end()
        async with await reading as response:
            assert response.status == 200, await response.text()
            return await response.read()


def play(test: Callable[[Gateway], Awaitable[None]], **players: float) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as client:
            gateway = Gateway(client, **players)
            await gateway.start()
            try:
                await asyncio.wait_for(test(gateway), scaled(20))
            finally:
                await gateway.runner.cleanup()
                await gateway.streams.stop()

    asyncio.run(run())


def sizes(data: bytes, ending: str) -> list[tuple[int, int]]:
    with av.open(io.BytesIO(data), "r", format={"ts": "mpegts"}.get(ending, ending)) as container:
        return [(picture.width, picture.height) for picture in container.decode(video=0)]


def parts(data: bytes) -> list[bytes]:
    return [part.split(b"\r\n\r\n", 1)[1] for part in data.split(b"\r\n--frame\r\n") if part]


@pytest.mark.parametrize("ending", VIDEO)
def test_a_player_gets_every_picture_from_the_first_keyframe_on(ending: str) -> None:
    async def test(gateway: Gateway) -> None:
        data = await gateway.whole(f"cam.{ending}", encoded(40)[3:])
        assert sizes(data, ending) == [(64, 48)] * 25

    play(test)


def test_h264_and_jpegs_are_not_encoded_again() -> None:
    for ending, codec in (("h264", Codec.H264), ("mjpg", Codec.JPEG)):
        frames = encoded(20, of=codec)

        async def test(gateway: Gateway, ending: str = ending, frames: list[EncodedFrame] = frames) -> None:
            data = await gateway.whole(f"cam.{ending}", frames)
            bodies = [frame.body for frame in frames]
            assert (parts(data) if ending == "mjpg" else data) == (
                bodies if ending == "mjpg" else b"".join(bodies)
            )

        play(test)


def test_mp4_holds_jpegs_too() -> None:
    async def test(gateway: Gateway) -> None:
        data = await gateway.whole("cam.mp4", encoded(5, of=Codec.JPEG))
        assert sizes(data, "mp4") == [(64, 48)] * 5

    play(test)


def test_each_jpeg_is_complete_before_the_next_one_comes() -> None:
    first, second = encoded(2, of=Codec.JPEG)

    async def test(gateway: Gateway) -> None:
        reading = asyncio.ensure_future(gateway.client.get(gateway.url("cam.mjpg")))
        await until(lambda: gateway.streams.queues)
        gateway.send(first)
        async with await reading as response:
            assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
            await response.content.readexactly(len(b"--frame\r\n"))
            for frame in (first, second):
                assert frame.body in await response.content.readuntil(b"\r\n--frame\r\n")
                gateway.send(second)

    play(test)


def test_one_picture_is_a_file_that_nobody_keeps() -> None:
    (frame,) = encoded(1, of=Codec.JPEG)

    async def test(gateway: Gateway) -> None:
        reading = asyncio.ensure_future(gateway.client.get(gateway.url("cam.jpg")))
        await until(lambda: gateway.streams.queues)
        before_s = clock.wall_ns() / 1e9
        gateway.send(frame)
        async with await reading as response:
            assert await response.read() == frame.body
            assert response.headers["Content-Type"] == "image/jpeg"
            assert response.headers["Cache-Control"] == "no-store"
            assert before_s - 1e-3 <= float(response.headers["X-Timestamp"]) <= clock.wall_ns() / 1e9

    play(test)


@pytest.mark.parametrize("codec", list(Codec))
def test_pictures_of_any_codec_are_scaled_to_fit(codec: Codec) -> None:
    async def test(gateway: Gateway) -> None:
        reading = asyncio.ensure_future(gateway.client.get(gateway.url("cam.jpg?max=40x40")))
        await until(lambda: gateway.streams.queues)
        (frame,) = encoded(1, of=codec)
        while not reading.done():  # one that waits for too long for a slow machine is not shown
            gateway.send(frame)
            await asyncio.sleep(0.02)
        async with await reading as response:
            assert sizes(await response.read(), "jpeg_pipe") == [(40, 30)]

    play(test)


@pytest.mark.parametrize(("ending", "goes_on"), [("mp4", False), ("ts", True), ("h264", True)])
def test_another_size_ends_what_cannot_tell_its_reader(ending: str, goes_on: bool) -> None:
    larger = [replace(f, header=f.header._replace(epoch=8)) for f in encoded(5, size=(96, 64))]

    async def test(gateway: Gateway) -> None:
        data = await gateway.whole(f"cam.{ending}", [*encoded(4), *larger])
        assert sizes(data, ending) == [(64, 48)] * 4 + [(96, 64)] * 5 * goes_on

    play(test)


@pytest.mark.parametrize("ending", VIDEO)
def test_a_producer_that_comes_back_goes_on_in_the_same_response(ending: str) -> None:
    again = [replace(f, header=f.header._replace(epoch=8, capture_ns=5)) for f in encoded(6)]

    async def test(gateway: Gateway) -> None:
        assert len(sizes(await gateway.whole(f"cam.{ending}", [*encoded(4), *again]), ending)) == 10

    play(test)


@pytest.mark.parametrize("ending", VIDEO)
def test_another_codec_ends_the_response(ending: str) -> None:
    jpeg = [replace(f, header=f.header._replace(epoch=8)) for f in encoded(3, of=Codec.JPEG)]

    async def test(gateway: Gateway) -> None:
        assert len(sizes(await gateway.whole(f"cam.{ending}", [*encoded(4), *jpeg]), ending)) == 4

    play(test)


def test_a_damaged_frame_is_left_out_with_all_that_refers_to_it() -> None:
    frames = encoded(40)
    frames[3] = replace(frames[3], body=b"\0\0\1")

    async def test(gateway: Gateway) -> None:
        reading = asyncio.ensure_future(gateway.client.get(gateway.url("cam.mp4")))
        await until(lambda: gateway.streams.queues)
        gateway.send(*frames[:4])
        async with await reading as response:
            await until(lambda: gateway.streams.queues[0].drops)
            gateway.send(*frames[4:])
            gateway.end()
            assert len(sizes(await response.read(), "mp4")) == 3 + 25

    play(test)


@pytest.mark.parametrize("ending", ["ts", "h264"])
@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.PNG, Codec.RAW])
def test_video_of_a_stream_of_pictures_is_refused_with_what_there_is(ending: str, codec: Codec) -> None:
    (frame,) = encoded(1, of=codec)

    async def test(gateway: Gateway) -> None:
        reading = asyncio.ensure_future(gateway.client.get(gateway.url(f"cam.{ending}")))
        await until(lambda: gateway.streams.queues)
        while not reading.done():  # as above: PNG and raw pictures are transcoded
            gateway.send(frame)
            await asyncio.sleep(0.02)
        async with await reading as response:
            assert (response.status, await response.text()) == (
                406,
                "stream cam is not encoded as H.264, which this format needs: "
                "/s/cam.mp4 and /s/cam.mjpg are there, or give its producer --codec h264\n",
            )

    play(test)


@pytest.mark.parametrize(
    ("file", "status", "text"),
    [
        ("cam.avi", 404, "there are only /s/NAME with one of .mp4, .ts, .h264, .mjpg, .jpg"),
        ("cam", 404, "there are only /s/NAME with one of .mp4, .ts, .h264, .mjpg, .jpg"),
        ("%3Cimg%3E.mp4", 404, "there are only /s/NAME with one of .mp4, .ts, .h264, .mjpg, .jpg"),
        ("door.mp4", 404, "there is no stream door now: is its producer running?"),
        ("cam.mp4?max=64x64", 400, "max: only .mjpg and .jpg can be made smaller"),
        ("cam.jpg?max=big", 400, "max: allowed is WIDTHxHEIGHT such as 1280x720, up to 33177600 pixels"),
        ("cam.jpg?max=0x9", 400, "max: allowed is WIDTHxHEIGHT such as 1280x720, up to 33177600 pixels"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(file: str, status: int, text: str) -> None:
    async def test(gateway: Gateway) -> None:
        async with gateway.client.get(gateway.url(file)) as response:
            assert (response.status, await response.text()) == (status, f"{text}\n")
            assert response.headers["Cache-Control"] == "no-store"
        assert gateway.source is None

    play(test)


def test_only_get_and_head_are_allowed() -> None:
    async def test(gateway: Gateway) -> None:
        async with gateway.client.head(gateway.url("cam.ts")) as response:
            assert (response.status, response.headers["Content-Type"]) == (200, "video/mp2t")
            assert response.headers["Cache-Control"] == "no-store"
        async with gateway.client.post(gateway.url("cam.ts")) as response:
            assert response.status == 405
        async with gateway.client.head(gateway.url("door.ts")) as response:
            assert response.status == 404
        assert gateway.source is None

    play(test)


def test_a_stream_that_sends_nothing_is_refused_with_the_reason() -> None:
    async def test(gateway: Gateway) -> None:
        async with gateway.client.get(gateway.url("cam.mp4")) as response:
            text = await response.text()
        assert response.status == 503
        assert re.fullmatch(r"stream cam sends no pictures now(: connected, but nothing arrives)?\n", text)

    play(test, ended_s=0.1)


def test_a_response_ends_when_nothing_comes_any_more() -> None:
    (frame,) = encoded(1)

    async def test(gateway: Gateway) -> None:
        reading = asyncio.ensure_future(gateway.client.get(gateway.url("cam.h264")))
        while not reading.done():
            if gateway.source is not None:
                gateway.send(frame)
            await asyncio.sleep(0.02)
        async with await reading as response:
            assert response.status == 200
            assert (await response.read()).startswith(frame.body)
        await until(lambda: not gateway.streams.queues)

    play(test, ended_s=scaled(1))


def test_a_reader_that_goes_away_is_noticed_while_nothing_comes() -> None:
    async def test(gateway: Gateway) -> None:
        with socket.create_connection(("127.0.0.1", gateway.port)) as reader:
            reader.sendall(b"GET /s/cam.ts HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: gateway.streams.queues)
        await until(lambda: not gateway.streams.queues)

    play(test, ended_s=3600)


def test_a_reader_that_stops_reading_is_cut_off_and_nobody_else_loses_a_frame(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = replace(encoded(1, of=Codec.JPEG)[0], body=b"\xff\xd8" + bytes(200_000))

    async def test(gateway: Gateway) -> None:
        with socket.socket() as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect(("127.0.0.1", gateway.port))
            stalled.sendall(b"GET /s/cam.mjpg HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: gateway.streams.queues)
            # Before aiohttp 3.14 it bounds what `readuntil` returns.
            get = gateway.client.get(gateway.url("cam.mjpg"), read_bufsize=1 << 20)
            reading = asyncio.ensure_future(get)
            await until(lambda: len(gateway.streams.queues) == 2)
            gateway.send(frame)
            async with await reading as response:
                await response.content.readexactly(len(b"--frame\r\n"))
                while gateway.streams.counters.cut_off == 0:
                    part = await response.content.readuntil(b"\r\n--frame\r\n")
                    assert frame.body in part
                    gateway.send(frame)
                await response.content.readuntil(b"\r\n--frame\r\n")
            assert len(gateway.streams.queues) <= 1
        assert caplog.messages == [
            "a reader of /s/cam.mjpg stopped reading and was cut off after 1.5 s; so far: 1"
        ]

    play(test, stalled_s=1.5)


def test_the_end_of_the_gateway_ends_responses_at_once() -> None:
    (frame,) = encoded(1)

    async def test(gateway: Gateway) -> None:
        reading = asyncio.ensure_future(gateway.client.get(gateway.url("cam.h264")))
        await until(lambda: gateway.streams.queues)
        gateway.send(frame)
        async with await reading as response:
            await gateway.runner.app.shutdown()
            assert await response.read() == frame.body

    play(test, ended_s=3600)


def test_an_http_1_0_reader_gets_the_bare_stream() -> None:
    frames = encoded(5)

    async def test(gateway: Gateway) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /s/cam.h264 HTTP/1.0\r\n\r\n")
        await until(lambda: gateway.streams.queues)
        gateway.send(*frames)
        gateway.end()
        head, body = (await reader.read()).split(b"\r\n\r\n", 1)
        writer.close()
        assert head.startswith(b"HTTP/1.0 200 OK")
        assert body == b"".join(frame.body for frame in frames)

    play(test)
