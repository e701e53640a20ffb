"""A page of the wall without a browser: the WebSocket of docs/web.md."""

from __future__ import annotations

import asyncio
import json
import struct
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.support.timing import scaled

# As docs/web.md has it, independently of the gateway's code.
_HEADER: Final = struct.Struct(">BBBBIQQQHHf")
KEY, DISCONTINUITY = 1, 2


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary message."""

    kind: int
    flags: int
    id: int
    seq: int
    capture_us: int
    gateway_us: int
    width: int
    height: int
    fps: float
    body: bytes

    @property
    def key(self) -> bool:
        return bool(self.flags & KEY)


class WallPage:
    """What a wait passes over is kept for another one.

    Attributes:
        received_bytes: of all binary messages.
    """

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.received_bytes = 0
        self._texts: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)  # by type
        self._frames: deque[Binary] = deque()

    async def say(self, kind: str, **values: object) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **values}))

    async def text(
        self, kind: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """The next message of this type that is `wanted`; those of this type before it are gone."""
        async with asyncio.timeout(scaled(20)):
            while True:
                while not self._texts[kind]:
                    await self._receive()
                message = self._texts[kind].popleft()
                if wanted(message):
                    return message

    async def frame(self, wanted: Callable[[Binary], bool] = lambda _: True) -> Binary:
        """The next binary message that is `wanted`; those before it are gone."""
        async with asyncio.timeout(scaled(20)):
            while True:
                while not self._frames:
                    await self._receive()
                message = self._frames.popleft()
                if wanted(message):
                    return message

    def came(self, kind: str) -> bool:
        """Whether a message of this type came and was not asked for yet."""
        return bool(self._texts[kind])

    async def closed(self) -> int | None:
        """Wait until the gateway has closed it; the code."""
        async with asyncio.timeout(scaled(20)):
            async for _ in self.socket:
                pass
        return self.socket.close_code

    async def _receive(self) -> None:
        message = await self.socket.receive()
        if message.type is WSMsgType.TEXT:
            text = json.loads(message.data)
            self._texts[text["type"]].append(text)
        elif message.type is WSMsgType.BINARY:
            self.received_bytes += len(message.data)
            values = _HEADER.unpack_from(message.data)
            assert (values[0], values[3]) == (1, 0)
            self._frames.append(Binary(*(*values[1:3], *values[4:], message.data[_HEADER.size :])))
        else:
            raise ConnectionError(f"the gateway closed it: {message.extra or message.data}")


@asynccontextmanager
async def wall_page(url: str, **headers: str) -> AsyncIterator[WallPage]:
    """Open the page at `url`, which ends without a slash."""
    async with ClientSession() as session, session.ws_connect(f"{url}/ws", headers=headers) as socket:
        yield WallPage(socket)
