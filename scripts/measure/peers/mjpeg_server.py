"""The plain way to show a camera in browsers: aiohttp, and every picture as JPEG to every client.

python -m scripts.measure.peers.mjpeg_server CLIP PORT
"""

from __future__ import annotations

import asyncio
import sys
import threading

from aiohttp import web

from scripts.measure.peers.footage import jpegs

_TYPE = "multipart/x-mixed-replace; boundary=frame"
_PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"


class Newest:
    """The newest picture. Belongs to the event loop."""

    def __init__(self) -> None:
        self.part = b""
        self.changed = asyncio.Event()

    def put(self, jpeg: bytes) -> None:
        self.part = _PART % (len(jpeg), jpeg)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def video(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": _TYPE})
        await response.prepare(request)
        while True:
            await self.changed.wait()
            await response.write(self.part)


async def _serve(clip: str, port: int) -> None:
    loop, newest = asyncio.get_running_loop(), Newest()

    def grab() -> None:
        for _, _, jpeg in jpegs(clip):
            loop.call_soon_threadsafe(newest.put, jpeg)

    application = web.Application()
    application.router.add_get("/video", newest.video)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    threading.Thread(target=grab, daemon=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
