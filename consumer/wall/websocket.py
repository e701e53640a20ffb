"""One page's socket: what it subscribes to is sent as fast as it reads, and no faster."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

import fanlight
from fanlight.common import clock
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.consumer.wall import message
from fanlight.consumer.wall.counters import PageCounters
from fanlight.consumer.wall.feed import State
from fanlight.consumer.wall.limits import Allowance
from fanlight.consumer.wall.message import Description
from fanlight.consumer.wall.result_feed import ResultQueue
from fanlight.consumer.wall.socket_buffers import limit_buffers
from fanlight.consumer.wall.streams import Streams
from fanlight.consumer.wall.viewer_queue import LiveFrame, ViewerQueue

_PING_S: Final = 20.0
_LONGEST_UNACKNOWLEDGED_NS: Final = 300_000_000
MOST_SUBSCRIPTIONS: Final = 64
# A page acknowledges 20 times a second, reports on each of 64 tiles every two, and subscribes at once.
_MESSAGES_AT_ONCE: Final = 400
_MESSAGES_PER_S: Final = 100
# Texts that a page does not take. Each stream makes some of them, so a page that reads has fewer.
_MOST_TEXTS: Final = 512


class Acknowledgements:
    """What was sent and not acknowledged yet. Pure; `now_ns` is monotonic.

    Does nothing for a client that never acknowledges.
    """

    def __init__(self) -> None:
        self._sent_bytes = 0
        self._active = False
        # Totals after each message, with its time.
        self._outstanding: deque[tuple[int, int]] = deque()

    def sent(self, size_bytes: int, now_ns: int) -> None:
        self._sent_bytes += size_bytes
        if self._active:
            self._outstanding.append((self._sent_bytes, now_ns))

    def acknowledged(self, total_bytes: int) -> None:
        self._active = True
        while self._outstanding and self._outstanding[0][0] <= total_bytes:
            self._outstanding.popleft()

    def overdue(self, now_ns: int) -> bool:
        """Whether to send nothing more: the oldest message is not acknowledged for too long."""
        return bool(self._outstanding) and now_ns - self._outstanding[0][1] > _LONGEST_UNACKNOWLEDGED_NS


class _Subscribed:
    """A stream that a page has subscribed to."""

    def __init__(self, queue: ViewerQueue) -> None:
        self.queue = queue
        self.described: Description | None = None


class Page:
    """Serves one WebSocket until it ends. Belongs to the event loop."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._counters = PageCounters(streams.counters)
        self._socket = web.WebSocketResponse(
            heartbeat=_PING_S,
            compress=False,
            max_msg_size=message.MAX_TEXT_BYTES,
            # Together with the limit below: a message is sent when the kernel has taken the one before it.
            writer_limit=0,
        )
        self._subscribed: dict[str, _Subscribed] = {}
        self._allowance = Allowance(_MESSAGES_AT_ONCE, _MESSAGES_PER_S, clock.monotonic_ns())
        self._texts: deque[str] = deque()
        self._found = ResultQueue(streams.counters)
        self._drawing: set[str] = set()  # the streams whose results it wants
        self._ready = asyncio.Event()
        self._acknowledgements = Acknowledgements()
        self._held = False
        self._transport: asyncio.Transport | None = None

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Answer the request; returns when the connection has ended."""
        await self._socket.prepare(request)
        self._transport = request.transport
        limit_buffers(self._transport)
        settings = self._streams.settings
        name = f"fanlight {fanlight.__version__}"
        self._texts.append(
            message.hello(max_age_ms=round(settings.max_age_s * 1000), name=name, only=settings.only)
        )
        self.streams_changed()
        self._streams.watchers.add(self)
        self._streams.pages.add(self._counters)
        sending = asyncio.create_task(self._send_all())
        try:
            await self._receive_all()
        finally:
            self._streams.watchers.discard(self)
            self._streams.pages.discard(self._counters)
            sending.cancel()
            for stream in list(self._subscribed):
                self._unsubscribe(stream)
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending
        return self._socket

    async def close(self) -> None:
        """The gateway ends."""
        with contextlib.suppress(ConnectionError):
            await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the wall was stopped")

    # See `streams.Watcher`.

    def streams_changed(self) -> None:
        self._say(message.streams(each.to_table() for each in self._streams.live))

    def state_changed(self, stream: str, state: State) -> None:
        if stream in self._subscribed:
            since_ms = state.since_ns // 1_000_000
            self._say(message.state(stream, live=state.live, since_ms=since_ms, reason=state.reason))

    # Receiving --------------------------------------------------------------------------------------

    async def _receive_all(self) -> None:
        async for received in self._socket:
            if received.type is not WSMsgType.TEXT:
                await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text frames only")
                return
            if not self._allowance.take(clock.monotonic_ns()):
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many messages")
                return
            try:
                parsed = message.parse(received.data)
            except WireFormatError as error:
                await self._socket.close(
                    code=WSCloseCode.POLICY_VIOLATION, message=str(error).encode()[:120]
                )
                return
            self._handle(parsed)

    def _handle(self, received: message.ClientMessage | None) -> None:
        match received:
            case message.Ack(total_bytes):
                self._acknowledgements.acknowledged(total_bytes)
                if self._held:
                    self._ready.set()
            case message.Clock(sent_ms):
                self._say(message.clock(sent_ms, clock.wall_ns()))
            case message.Subscribe():
                self._subscribe(received)
            case message.Unsubscribe(stream):
                self._unsubscribe(stream)
            case message.Report(stream) if stream in self._subscribed:
                self._counters.reported(received)
            case message.Results(stream, wanted) if stream in self._subscribed:
                self._want_results(stream, wanted)
            case message.Keyframe(stream) if stream in self._subscribed:
                self._subscribed[stream].queue.clear()
                self._ready.set()

    def _subscribe(self, wanted: message.Subscribe) -> None:
        stream = wanted.stream
        self._unsubscribe(stream)
        if len(self._subscribed) >= MOST_SUBSCRIPTIONS:
            self._say(message.refused(stream, f"a page can show {MOST_SUBSCRIPTIONS} streams at once"))
            return
        try:
            queue = self._streams.join(stream, wanted.form, wanted.max_size, self._ready.set)
        except FanlightError as error:
            self._say(message.refused(stream, str(error)))
            return
        self._subscribed[stream] = _Subscribed(queue)
        self._ready.set()
        state = self._streams.feeds[stream].state
        if state.live or state.reason:
            self.state_changed(stream, state)

    def _unsubscribe(self, stream: str) -> None:
        subscribed = self._subscribed.pop(stream, None)
        if subscribed is not None:
            self._streams.leave(subscribed.queue)
            self._counters.forget(stream)
            self._want_results(stream, False)

    def _want_results(self, stream: str, wanted: bool) -> None:
        if wanted is (stream in self._drawing):
            return
        if not wanted:
            self._drawing.discard(stream)
            self._streams.results.leave(stream, self._take_result)
            return
        try:
            self._streams.results.join(stream, self._take_result)
        except FanlightError as error:
            self._say(message.results(stream, (), reason=str(error)))
        else:
            self._drawing.add(stream)

    def _take_result(self, text: str) -> None:
        self._found.push(text)
        self._ready.set()

    # Sending ----------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._texts.append(text)
        self._ready.set()
        if len(self._texts) > _MOST_TEXTS and self._transport is not None:
            self._transport.abort()

    async def _send_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._ready.wait()
                self._ready.clear()
                while await self._send_some():
                    pass

    async def _send_some(self) -> bool:
        """Send all texts, and one frame of each stream. False if nothing is left that may be sent."""
        while self._texts:
            await self._socket.send_str(self._texts.popleft())
        sent = False
        while self._found and not self._hold(clock.monotonic_ns()):
            await self._socket.send_str(self._found.pop())
        for stream, subscribed in list(self._subscribed.items()):
            now_ns = clock.monotonic_ns()
            if self._hold(now_ns):
                return False
            live = subscribed.queue.take(now_ns)
            if live is not None:
                await self._send(subscribed, live)
                sent = True
            elif subscribed.queue.failure is not None:
                self._unsubscribe(stream)
                self._texts.append(message.refused(stream, str(subscribed.queue.failure)))
                sent = True
        return sent

    async def _send(self, subscribed: _Subscribed, live: LiveFrame) -> None:
        if live.description is not subscribed.described and live.description is not None:
            subscribed.described = live.description
            await self._socket.send_str(live.description.text())
            if live.init:
                await self._send_binary(live.init_message())
        data = live.message()
        before, now_ns = live.arrived_ns < subscribed.queue.joined_ns, clock.monotonic_ns()
        self._counters.sent(len(data), None if before else now_ns - live.arrived_ns, now_ns)
        await self._send_binary(data)

    async def _send_binary(self, data: bytes) -> None:
        self._acknowledgements.sent(len(data), clock.monotonic_ns())
        await self._socket.send_bytes(data)

    def _hold(self, now_ns: int) -> bool:
        """Whether the page is behind. What waits is dropped then; the next acknowledgement ends it."""
        self._held, held = self._acknowledgements.overdue(now_ns), self._held
        if self._held and not held:
            self._streams.counters.held += 1
            for subscribed in self._subscribed.values():
                subscribed.queue.clear()
            self._found.clear()
        return self._held
