"""A wall that listens, whose sources the test plays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fanlight.common import clock
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.server import WallServer
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.streams import Streams
from tests.support.timing import scaled, wait_until
from tests.unit.consumer.wall.build import ScriptedResults, ScriptedSource


class Served:
    """The methods may be called by any thread.

    Attributes:
        url: of the page, without a slash at its end.
        sources: all that were made, in order.
        result_sources: likewise, of results.
    """

    def __init__(self, **settings: Any) -> None:
        self.sources: list[ScriptedSource] = []
        self.result_sources: list[ScriptedResults] = []
        self.port = 0
        self._listening = threading.Event()
        self._settings = WallSettings(**{"listen": ("127.0.0.1", 0), **settings})
        self.server = WallServer(self._settings, self._make_streams, self._listens)
        self.streams: Streams

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        assert self._listening.wait(scaled(20)), "it does not listen"

    def source(self) -> ScriptedSource:
        """The newest source, once it is started."""
        wait_until(lambda: self.sources and self.sources[-1].started, 20, "somebody watches")
        return self.sources[-1]

    def send(self, *frames: EncodedFrame) -> None:
        for frame in frames:
            self.source().send(frame, clock.wall_ns())

    def on_loop(self, call: Callable[[], None]) -> None:
        self.streams.loop.call_soon_threadsafe(call)

    def _make_streams(self, _fail: object) -> Streams:
        self.streams = Streams(self._settings, self._source, self._results, grace_s=0.05)
        self.streams.announced((announced("cam"),))
        return self.streams

    def _source(self, *arguments: Any) -> ScriptedSource:
        self.sources.append(ScriptedSource(*arguments))
        return self.sources[-1]

    def _results(self, *arguments: Any) -> ScriptedResults:
        self.result_sources.append(ScriptedResults(*arguments))
        return self.result_sources[-1]

    def _listens(self, port: int) -> None:
        self.port = port
        self._listening.set()


def announced(stream: str) -> Announcement:
    return Announcement(
        stream=stream, codec=Codec.H264, width=64, height=48, fps=30.0, epoch=7, since_ns=0, watched=False
    )


@contextmanager
def served(**settings: Any) -> Iterator[Served]:
    """It serves until the end of the block; one stream, cam, is announced."""
    wall = Served(**settings)
    thread = threading.Thread(target=wall.server.run, name="wall")
    thread.start()
    try:
        wall.wait()
        yield wall
    finally:
        wall.server.stop()
        thread.join(scaled(15))
        assert not thread.is_alive()
