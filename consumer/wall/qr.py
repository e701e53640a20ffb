"""`/qr.svg?u=TEXT`: an address as a QR code, for phones."""

from __future__ import annotations

import asyncio
import io
from typing import Final

import segno
from aiohttp import web

from fanlight.common import clock
from fanlight.consumer.wall.limits import Allowance

_MOST_CHARACTERS: Final = 500
# A code takes some milliseconds of Python.
_AT_ONCE: Final = 20
_PER_S: Final = 2
_MOST_KEPT: Final = 64
# To try all eight takes six times as long; readers know all of them.
MASK: Final = 3


class QrCodes:
    """Belongs to the event loop. The last codes are kept; how many are made is limited."""

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}
        self._allowance = Allowance(_AT_ONCE, _PER_S, clock.monotonic_ns())

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one request."""
        text = request.query.get("u", "")
        if not 1 <= len(text) <= _MOST_CHARACTERS:
            raise web.HTTPBadRequest(text=f"u: allowed are 1 to {_MOST_CHARACTERS} characters\n")
        code = self._made.get(text)
        if code is None:
            if not self._allowance.take(clock.monotonic_ns()):
                raise web.HTTPTooManyRequests(text="too many codes at once: try again in a second\n")
            code = await asyncio.to_thread(_svg, text)
            if len(self._made) >= _MOST_KEPT:
                del self._made[next(iter(self._made))]
            self._made[text] = code
        return web.Response(body=code, content_type="image/svg+xml")


def _svg(text: str) -> bytes:
    written = io.BytesIO()
    segno.make_qr(text, mask=MASK).save(written, kind="svg", scale=4, xmldecl=False, light="#fff")
    return written.getvalue()
