"""A web server beside the loop that examines frames: /state (JSON), /stream (Motion JPEG, for a browser).

    python -m examples.web_endpoint [STREAM] [PORT]

Each request is answered with a frame that came after it. Ends with the stream, or by Ctrl-C.
"""

import asyncio
import sys
from contextlib import suppress

import simplejpeg
from aiohttp import web

from fanlight import Frame, aio

PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"


class Endpoint:
    def __init__(self) -> None:
        self.next_frame: asyncio.Future[Frame] = asyncio.Future()

    async def examine(self, frames: aio.Consumer) -> None:
        async for frame in frames:
            waiting, self.next_frame = self.next_frame, asyncio.Future()
            waiting.set_result(frame)

    async def state(self, _: web.Request) -> web.Response:
        frame = await asyncio.shield(self.next_frame)
        brightness = round(float(frame.image.mean()), 1)
        return web.json_response({"seq": frame.seq, "age_s": frame.age_s, "brightness": brightness})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        with suppress(ConnectionError):  # the browser has left
            while frame := await asyncio.shield(self.next_frame):
                picture = simplejpeg.encode_jpeg(frame.image, colorspace="BGR")
                await response.write(PART % (len(picture), picture))
        return response


async def main(stream: str = "cam", port: str = "8080") -> None:
    endpoint = Endpoint()
    app = web.Application()
    app.add_routes([web.get("/state", endpoint.state), web.get("/stream", endpoint.stream)])
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    print("http://{}:{}/stream".format(*runner.addresses[0]))
    async with aio.Consumer(stream, until_end=True) as frames:
        await endpoint.examine(frames)
    await runner.cleanup()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
