"""`web:HOST:PORT`: the stream in browsers and players, from a web server in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Final

from fanlight.common import clock
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.errors import FanlightError, SinkError
from fanlight.common.model.frame import EncodedFrame, FrameHeader
from fanlight.common.model.reasons import reason
from fanlight.common.runtime.settings import LISTEN_ADDRESS
from fanlight.consumer.sinks.base import Sink, SinkContext
from fanlight.consumer.wall.access_settings import WebSettings
from fanlight.consumer.wall.broker_streams import result_source
from fanlight.consumer.wall.feed import post
from fanlight.consumer.wall.server import WallServer
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.source import OnFrame, Source, why_none
from fanlight.consumer.wall.streams import Streams

_START_S: Final = 10.0
_JOIN_S: Final = 2.0


class WebSink(Sink):
    """The wall of one stream, on a thread of its own: presenting does not wait for it.

    Raises:
        ListenError: it cannot listen there.
        ConfigError: the address needs a token.
    """

    def __init__(self, context: SinkContext, address: str) -> None:
        settings = context.settings
        wall = WallSettings(
            listen=LISTEN_ADDRESS.read(address),
            streams=(context.stream,),
            name=context.name,
            max_age_s=settings.max_age_s,
            only=context.stream,
            **{each.name: getattr(settings, each.name) for each in fields(WebSettings)},
        )
        self._context = context
        self._streams: Streams | None = None
        self._announced: tuple[object, ...] = ()
        # A source may end after the next one has begun.
        self._callbacks: set[OnFrame] = set()
        # A frame was left out since its age was not known.
        self._awaiting_key = False
        self._failure: Exception | None = None
        self._listening = threading.Event()
        self.port = 0
        self._server = WallServer(wall, lambda _fail: self._make_streams(wall), self._listens)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()
        if not self._listening.wait(_START_S):
            self._failure = SinkError(f"web:{address} does not start")
        if self._failure is not None:
            self._server.stop()
            raise self._failure

    def receive(self, frame: EncodedFrame) -> None:
        header = frame.header
        described = header.codec, header.epoch, header.width, header.height, header.fps
        if described != self._announced:
            self._announced = described
            self._call(lambda streams: streams.announced((_announcement(header),)))
        access = self._context.stream_access
        if not self._callbacks or (self._awaiting_key and not header.key):
            return
        age_ns = clock.wall_ns() - header.capture_ns if access is None else access.age_ns(header.capture_ns)
        self._awaiting_key = age_ns is None
        if age_ns is not None:
            for on_frame in tuple(self._callbacks):
                on_frame(frame, clock.wall_ns() - age_ns)
        elif access is not None:
            access.request_key()

    def source(self, _stream: str, on_frame: OnFrame, _on_failed: object) -> Source:
        """The source of its one stream. Thread-safe."""
        return _Passed(self._context, self._callbacks, on_frame)

    def tick(self) -> bool:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return True

    def close(self) -> None:
        self._server.stop()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            self._server.run()
        except FanlightError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - raised on the presenting thread
            self._failure = SinkError(f"web fails: {reason(error)}")
        finally:
            self._listening.set()

    def _make_streams(self, settings: WallSettings) -> Streams:
        consumer = self._context.settings
        self._streams = Streams(
            settings,
            self.source,
            partial(result_source, consumer, consumer.name, consumer.trust),
        )
        return self._streams

    def _listens(self, port: int) -> None:
        self.port = port
        self._listening.set()

    def _call(self, call: Callable[[Streams], None]) -> None:
        streams = self._streams
        if streams is not None:
            post(streams.loop, lambda: call(streams))


class _Passed:
    """The frames that the consumer receives in any case. See `consumer.wall.source.Source`."""

    def __init__(self, context: SinkContext, callbacks: set[OnFrame], on_frame: OnFrame) -> None:
        self._context = context
        self._callbacks = callbacks
        self._on_frame = on_frame

    def start(self) -> None:
        self._callbacks.add(self._on_frame)

    def stop(self) -> None:
        self._callbacks.discard(self._on_frame)

    def request_key(self) -> None:
        access = self._context.stream_access
        if access is not None:
            access.request_key()

    def why_none(self) -> str:
        return why_none(self._context.stats())


def _announcement(header: FrameHeader) -> Announcement:
    return Announcement(
        stream=header.stream,
        codec=header.codec,
        width=header.width,
        height=header.height,
        fps=header.fps,
        epoch=header.epoch,
        since_ns=header.capture_ns,
        watched=True,
    )
