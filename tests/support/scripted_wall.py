"""A real wall whose streams are what a test says: without a broker, with pictures made here."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import simplejpeg

from fanlight.common import clock
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.server import WallServer
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.source import OnFrame, Source
from fanlight.consumer.wall.streams import Streams
from tests.support.headers import header
from tests.support.timing import scaled
from tests.unit.consumer.wall.build import ScriptedResults

_INTERVAL_S: Final = 0.1
_PICTURES: Final = 8

FROZEN: Final = "the test has stopped it"
"""Why no pictures come of a stream that is frozen."""


class ScriptedWall(Streams):
    """Streams of JPEG pictures, each received only while it is watched, and results that the test sends.
    Made on the event loop; its own methods are for the test's thread.

    Attributes:
        result_sources: all that were made.
        url: of the page, without a slash at its end; it is at `port` of this machine.
    """

    def __init__(self, settings: WallSettings) -> None:
        super().__init__(settings, self._source, self._results)
        self.result_sources: list[ScriptedResults] = []
        self._loop = asyncio.get_running_loop()
        self._sizes: dict[str, tuple[int, int]] = {}
        self.url = ""
        self.port = 0

    def announce(self, sizes: dict[str, tuple[int, int]]) -> None:
        """These streams are live, with pictures of these sizes, and no others."""
        live = tuple(
            Announcement(
                stream=stream, codec=Codec.JPEG, width=width, height=height, fps=1 / _INTERVAL_S,
                epoch=1, since_ns=clock.wall_ns(), watched=False,
            )
            for stream, (width, height) in sizes.items()
        )  # fmt: skip
        self._sizes.update(sizes)
        self._on_loop(self.announced, live)

    def viewers(self, stream: str) -> int:
        """How many receive this stream."""
        feed = self.feeds.get(stream)
        return len(feed.queues) if feed is not None else 0

    def freeze(self, stream: str) -> None:
        """No picture comes any more, though the stream is live."""
        source = self.feeds[stream].source
        assert isinstance(source, _Pictures)
        source.frozen.set()

    def _results(self, *arguments: Any) -> ScriptedResults:
        self.result_sources.append(ScriptedResults(*arguments))
        return self.result_sources[-1]

    def _on_loop(self, action: Callable[..., None], *arguments: object) -> None:
        async def run() -> None:
            action(*arguments)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(scaled(15))

    def _source(self, stream: str, on_frame: OnFrame, _on_failed: object) -> Source:
        return _Pictures(stream, self._sizes[stream], on_frame)


class _Pictures:
    """A source of moving pictures; see `consumer.wall.source.Source`."""

    def __init__(self, stream: str, size: tuple[int, int], on_frame: OnFrame) -> None:
        self._stream = stream
        self._size = size
        self._on_frame = on_frame
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pictures-{stream}")
        self.frozen = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def request_key(self) -> None:
        pass  # every picture is one

    def why_none(self) -> str:
        return FROZEN

    def _run(self) -> None:
        width, height = self._size
        bodies = [picture(width, height, number) for number in range(_PICTURES)]
        seq = 0
        while not self._stopped.wait(_INTERVAL_S):
            if self.frozen.is_set():
                continue
            now_ns = clock.wall_ns()
            head = header(seq, size=self._size, stream=self._stream, capture_ns=now_ns, fps=1 / _INTERVAL_S)
            self._on_frame(EncodedFrame(head, bodies[seq % _PICTURES]), now_ns)
            seq += 1


def picture(width: int, height: int, number: int) -> bytes:
    """A small JPEG file with a bar that moves."""
    pixels = np.full((height, width, 3), (40, 70, 30), np.uint8)
    left = number * width // _PICTURES
    pixels[:, left : left + width // _PICTURES] = (200, 220, 240)
    return simplejpeg.encode_jpeg(pixels, 80, "BGR", "420")


@contextlib.contextmanager
def scripted_wall(**settings: Any) -> Iterator[ScriptedWall]:
    """Runs at a port of its own until the block ends. `settings` are those of `WallSettings`."""
    walls: list[ScriptedWall] = []
    ports: list[int] = []
    listening = threading.Event()

    def make(_fail: object) -> ScriptedWall:
        walls.append(ScriptedWall(chosen))
        return walls[0]

    def on_listening(port: int) -> None:
        ports.append(port)
        listening.set()

    chosen = WallSettings(**{"listen": ("127.0.0.1", 0), **settings})
    server = WallServer(chosen, make, on_listening)
    thread = threading.Thread(target=server.run, name="wall")
    thread.start()
    try:
        assert listening.wait(scaled(30)), "the wall does not listen"
        walls[0].port = ports[0]
        walls[0].url = f"http://127.0.0.1:{ports[0]}"
        yield walls[0]
    finally:
        server.stop()
        thread.join()
