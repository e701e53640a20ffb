"""All streams that can be seen, and the feeds of those that somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final, Protocol

from fanlight.common import clock
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.errors import StreamEnded
from fanlight.consumer.wall.counters import PageCounters, WallCounters
from fanlight.consumer.wall.feed import Feed, MakeSource, State, post
from fanlight.consumer.wall.message import Form
from fanlight.consumer.wall.result_feed import MakeResults, ResultFeeds
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.viewer_queue import ViewerQueue

# A stream is received for this long after its last viewer has gone: hidden tabs return at once.
GRACE_S: Final = 5.0
_CHECK_S: Final = 0.5


class Watcher(Protocol):
    """A page, or what else wants to know what can be seen. Called on the event loop."""

    def streams_changed(self) -> None: ...

    def state_changed(self, stream: str, state: State) -> None: ...


class Streams:
    """Belongs to the event loop on which it is made and `stop`ped.

    Attributes:
        loop: the event loop.
        live: the announced streams that `--streams` allows.
        watchers: told about changes.
        counters: of what was sent.
        pages: counters of the connected pages.
        results: what detectors find.
    """

    def __init__(
        self,
        settings: WallSettings,
        make_source: MakeSource,
        make_results: MakeResults | None = None,
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        self.settings = settings
        self._make_source = make_source
        self._grace_s = grace_s
        self._numbers = count(1)
        self._feeds: dict[str, Feed] = {}
        self._leaving: dict[str, asyncio.TimerHandle] = {}
        self._owners: dict[ViewerQueue, Feed] = {}
        self._stopping: set[asyncio.Future[None]] = set()
        self.live: tuple[Announcement, ...] = ()
        self.watchers: set[Watcher] = set()
        self.counters = WallCounters()
        self.pages: set[PageCounters] = set()
        self.loop = asyncio.get_running_loop()
        post_here = partial(post, self.loop)
        self.results = ResultFeeds(make_results, post_here, self._in_background, self.counters)
        self._checking = self.loop.call_later(_CHECK_S, self._check)

    @property
    def feeds(self) -> dict[str, Feed]:
        """Those of the streams that are received now, by name."""
        return self._feeds

    @property
    def queues(self) -> list[ViewerQueue]:
        """Those of all viewers."""
        return list(self._owners)

    def announced(self, live: tuple[Announcement, ...]) -> None:
        """The directory has changed."""
        shown = tuple(each for each in live if self.settings.shows(each.stream))
        if shown != self.live:
            self.live = shown
            for watcher in list(self.watchers):
                watcher.streams_changed()

    def join(
        self,
        stream: str,
        form: Form = Form.FRAMES,
        max_size: tuple[int, int] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> ViewerQueue:
        """Begin to view one of the `live` streams, or one that others view.

        Args:
            max_size: (width, height) in pixels; larger pictures of `jpeg` are scaled to fit.
            on_ready: called when something can be taken from the queue.

        Raises:
            StreamEnded: there is no such stream; `str()` says so in a sentence for the user.
        """
        feed = self._feeds.get(stream)
        if feed is None:
            if all(each.stream != stream for each in self.live):
                raise StreamEnded(f"there is no stream {stream} now: is its producer running?")
            feed = self._feeds[stream] = Feed(
                stream,
                self._make_source,
                self._numbers,
                int(self.settings.max_age_s * 1e9),
                self._end,
                self._in_background,
            )
            feed.source.start()
        elif (leaving := self._leaving.pop(stream, None)) is not None:
            leaving.cancel()
        queue = feed.join(form, max_size if form is Form.JPEG else None, on_ready)
        self._owners[queue] = feed
        return queue

    def leave(self, queue: ViewerQueue) -> None:
        """End viewing. The source ends soon after its last viewer. Safe to call twice."""
        feed = self._owners.pop(queue, None)
        if feed is None:
            return
        feed.leave(queue)
        self.counters.drops.update(queue.drops)
        if not feed.queues and self._feeds.get(feed.stream) is feed:
            self._leaving[feed.stream] = self.loop.call_later(self._grace_s, partial(self._end, feed))

    async def stop(self) -> None:
        """End everything, within about a second. To be called once."""
        self._checking.cancel()
        self.results.stop()
        for feed in list(self._feeds.values()):
            self._end(feed)
        for queue in list(self._owners):
            queue.end(StreamEnded("the wall was stopped"))
        if self._stopping:
            await asyncio.wait(list(self._stopping))

    def _end(self, feed: Feed) -> None:
        if self._feeds.get(feed.stream) is not feed:
            return
        del self._feeds[feed.stream]
        self.counters.key_requests += feed.key_requests
        self.counters.overrun += feed.overrun
        self.counters.not_made += feed.not_made
        leaving = self._leaving.pop(feed.stream, None)
        if leaving is not None:
            leaving.cancel()
        feed.stop()

    def _in_background(self, call: Callable[[], None]) -> None:
        """Run what waits for the end of a thread; `stop` waits for it."""
        stopping = self.loop.run_in_executor(None, call)
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    def _check(self) -> None:
        now_ns = clock.monotonic_ns()
        for feed in self._feeds.values():
            if feed.check(now_ns):
                for watcher in list(self.watchers):
                    with contextlib.suppress(ConnectionError):
                        watcher.state_changed(feed.stream, feed.state)
        self._checking = self.loop.call_later(_CHECK_S, self._check)
