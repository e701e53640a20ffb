"""`/s/NAME.mp4`, `.ts`, `.h264`, `.mjpg` and `.jpg`: streams for players and other programs, by URL.

docs/players.md shows how programs are called.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from fanlight.common import clock
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model import units
from fanlight.common.model.errors import DecodeError, FanlightError, StreamEnded
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.wire_fields import STREAM_NAME
from fanlight.consumer.sinks.transport_stream import TransportStream
from fanlight.consumer.wall.message import Form
from fanlight.consumer.wall.remux import Fragmenter
from fanlight.consumer.wall.socket_buffers import limit_buffers
from fanlight.consumer.wall.stall import StallTimer
from fanlight.consumer.wall.streams import Streams
from fanlight.consumer.wall.viewer_queue import LiveFrame, ViewerQueue

_LOG: Final = logging.getLogger(__name__)

STALLED_S: Final = 5.0
ENDED_S: Final = 5.0
_ENDED_FRAMES: Final = 3
# While no frame comes, nothing tells that a reader has gone but its socket.
_LOOK_S: Final = 0.5
_BOUNDARY: Final = "frame"
_HEADERS: Final = {"Cache-Control": "no-store", "Accept-Ranges": "none"}


class Body(Protocol):
    """What one reader gets of one stream."""

    def add(self, live: LiveFrame) -> bytes:
        """The bytes for a frame; the first one is a keyframe.

        Raises:
            DecodeError: the frame is damaged.
            StreamEnded: what was sent so far cannot be continued with this frame.
        """
        ...

    def close(self) -> None:
        """Release what it holds."""


class AnnexB(Body):
    """H.264 as it comes."""

    def add(self, live: LiveFrame) -> bytes:
        _require_h264(live)
        return live.frame.body


class TransportBody(Body):
    """MPEG-TS."""

    def __init__(self) -> None:
        self._transport = TransportStream()

    def add(self, live: LiveFrame) -> bytes:
        _require_h264(live)
        return self._transport.write(live.frame, live.gateway_ns)

    def close(self) -> None:
        self._transport.close()


class Mp4Body(Body):
    """Fragmented MP4, with timestamps from 0 on."""

    def __init__(self) -> None:
        self._fragmenter: Fragmenter | None = None

    def add(self, live: LiveFrame) -> bytes:
        begin = b""
        if self._fragmenter is None:
            self._fragmenter = Fragmenter(live.frame, exact=True)
            begin = self._fragmenter.init
        elif not self._fragmenter.fits(live.frame):
            raise StreamEnded("players take no second initialization segment")
        return begin + self._fragmenter.fragment(live.frame, live.gateway_ns)


class MultipartBody(Body):
    """JPEGs that replace one another (`multipart/x-mixed-replace`)."""

    def __init__(self) -> None:
        self._begin = f"--{_BOUNDARY}\r\n"

    def add(self, live: LiveFrame) -> bytes:
        picture = live.frame.body
        head = "".join(f"{name}: {value}\r\n" for name, value in _picture_headers(live).items())
        begin, self._begin = self._begin, ""
        # The boundary that ends it at once: browsers show a picture only then.
        return f"{begin}{head}\r\n".encode() + picture + f"\r\n--{_BOUNDARY}\r\n".encode()


class Format(NamedTuple):
    """What the ending of a URL stands for.

    Attributes:
        make: None for one picture.
        h264_only: whether it holds no JPEGs.
    """

    content_type: str
    form: Form
    make: Callable[[], Body] | None
    h264_only: bool = False


FORMATS: Final = {
    "mp4": Format("video/mp4", Form.FRAMES, Mp4Body),
    "ts": Format("video/mp2t", Form.FRAMES, TransportBody, h264_only=True),
    "h264": Format("video/h264", Form.FRAMES, AnnexB, h264_only=True),
    "mjpg": Format(f"multipart/x-mixed-replace; boundary={_BOUNDARY}", Form.JPEG, MultipartBody),
    "jpg": Format("image/jpeg", Form.JPEG, None),
}
_ENDINGS: Final = ", ".join(f".{ending}" for ending in FORMATS)


def serve_players(application: web.Application, players: Players) -> None:
    """Serve all streams by URL."""
    application.router.add_get("/s/{file}", players.serve)
    application.on_shutdown.append(players.end)


class Players:
    """Belongs to the event loop.

    Args:
        stalled_s: a reader that takes nothing for so long is cut off.
        ended_s: a response ends if no frame comes for so long, or for some intervals of a slower stream.
    """

    def __init__(self, streams: Streams, *, stalled_s: float = STALLED_S, ended_s: float = ENDED_S) -> None:
        self._streams = streams
        self._stalled_s = stalled_s
        self._ended_s = ended_s
        self._queues: set[ViewerQueue] = set()
        self._log = LimitedLog(_LOG)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; returns when the stream or its reader has ended."""
        stream, _, ending = request.match_info["file"].rpartition(".")
        wanted = FORMATS.get(ending)
        if wanted is None or not STREAM_NAME.fullmatch(stream):
            raise web.HTTPNotFound(
                text=f"there are only /s/NAME with one of {_ENDINGS}\n", headers=_HEADERS
            )
        max_size = _max_size(request, wanted)
        if request.method == "HEAD" and any(each.stream == stream for each in self._streams.live):
            return web.Response(headers={**_HEADERS, "Content-Type": wanted.content_type})
        try:
            queue = self._streams.join(stream, wanted.form, max_size)
        except FanlightError as error:
            raise web.HTTPNotFound(text=f"{error}\n", headers=_HEADERS) from None
        self._queues.add(queue)
        try:
            viewer = Viewer(self._streams, stream, queue, request, self._ended_s)
            return await self._respond(viewer, wanted)
        finally:
            self._queues.discard(queue)
            self._streams.leave(queue)

    async def end(self, _application: web.Application) -> None:
        """The gateway ends: so do all responses."""
        for queue in self._queues:
            queue.end(StreamEnded("the wall was stopped"))

    async def _respond(self, viewer: Viewer, wanted: Format) -> web.StreamResponse:
        try:
            first = await viewer.next()
        except FanlightError as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n", headers=_HEADERS) from None
        if wanted.make is None:
            headers = {**_HEADERS, **_picture_headers(first)}
            return web.Response(body=first.frame.body, headers=headers)
        codec = first.frame.header.codec
        if wanted.h264_only and codec is not Codec.H264:
            raise web.HTTPNotAcceptable(text=viewer.without_h264(), headers=_HEADERS)
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": wanted.content_type})
        await response.prepare(viewer.request)
        limit_buffers(viewer.request.transport)
        body = wanted.make()
        stall = StallTimer(viewer.waiting, self._stalled_s, partial(self._cut_off, viewer.request))
        try:
            await self._send_all(viewer, body, response, first)
        except (FanlightError, ConnectionError):
            pass  # the end of the stream, or of its reader
        finally:
            stall.cancel()
            body.close()
        return response

    async def _send_all(
        self, viewer: Viewer, body: Body, response: web.StreamResponse, live: LiveFrame
    ) -> None:
        while True:
            try:
                data = body.add(viewer.without_wait(live))
            except DecodeError:
                viewer.queue.clear()
            else:
                await response.write(data)
                viewer.written += 1
            live = await viewer.next()

    def _cut_off(self, request: web.Request) -> None:
        counters = self._streams.counters
        counters.cut_off += 1
        if request.transport is not None:
            request.transport.abort()
        text = "a reader of %s stopped reading and was cut off after %g s; so far: %d"
        self._log.warn(clock.monotonic_ns(), text, request.path, self._stalled_s, counters.cut_off)


class Viewer:
    """One reader of one stream.

    Attributes:
        written: number of frames that were passed to its connection.
    """

    def __init__(
        self, streams: Streams, stream: str, queue: ViewerQueue, request: web.Request, ended_s: float
    ) -> None:
        self._streams = streams
        self._ended_s = ended_s
        self._stream = stream
        self.queue = queue
        self.request = request
        self.written = 0
        self._joined_ns = clock.wall_ns()
        self._fps = next((each.fps for each in streams.live if each.stream == stream), 30.0)

    def waiting(self) -> tuple[int, int]:
        """Frames written, and bytes that its connection has not taken yet."""
        transport = self.request.transport
        return self.written, 0 if transport is None else transport.get_write_buffer_size()

    async def next(self) -> LiveFrame:
        """The next frame.

        Raises:
            StreamEnded: none comes any more.
            ConnectionError: the reader has gone.
        """
        wait_s = max(self._ended_s, _ENDED_FRAMES / self._fps)
        end_s = asyncio.get_running_loop().time() + wait_s
        while asyncio.get_running_loop().time() < end_s:
            if self.request.transport is None or self.request.transport.is_closing():
                raise ConnectionResetError
            try:
                async with asyncio.timeout(_LOOK_S):
                    live = await self.queue.get()
            except TimeoutError:
                continue
            self._fps = live.frame.header.fps
            return live
        feed = self._streams.feeds.get(self._stream)
        why = feed.state.reason if feed is not None else ""
        raise StreamEnded(f"stream {self._stream} sends no pictures now" + (f": {why}" if why else ""))

    def without_wait(self, live: LiveFrame) -> LiveFrame:
        """The frame; one of before the reader came as if it had been captured then.

        A reader gets the newest keyframe and all since at once. If it played them at their pace, it would
        stay behind by their age.
        """
        early_ns = self._joined_ns - live.gateway_ns
        if early_ns <= 0:
            return live
        header = live.frame.header._replace(capture_ns=live.frame.header.capture_ns + early_ns)
        frame = EncodedFrame(header, live.frame.body)
        return LiveFrame(frame, live.gateway_ns + early_ns, live.discontinuity)

    def without_h264(self) -> str:
        """Why there is no video of it."""
        name = self._stream
        return (
            f"stream {name} is not encoded as H.264, which this format needs: "
            f"/s/{name}.mp4 and /s/{name}.mjpg are there, or give its producer --codec h264\n"
        )


def _picture_headers(live: LiveFrame) -> dict[str, str]:
    return {
        "Content-Type": "image/jpeg",
        "Content-Length": str(len(live.frame.body)),
        # Unix time of its capture, as other servers of MJPEG write it.
        "X-Timestamp": f"{live.gateway_ns / 1e9:.6f}",
    }


def _require_h264(live: LiveFrame) -> None:
    if live.frame.header.codec is not Codec.H264:
        raise StreamEnded("the stream is no H.264 any more")


def _max_size(request: web.Request, wanted: Format) -> tuple[int, int] | None:
    text = request.query.get("max")
    if text is None:
        return None
    if wanted.form is not Form.JPEG:
        raise web.HTTPBadRequest(text="max: only .mjpg and .jpg can be made smaller\n", headers=_HEADERS)
    try:
        return units.SIZE.read(text)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"max: allowed is {error}\n", headers=_HEADERS) from None
