"""What detectors find in the streams: one subscription of each stream while a page draws it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.result import Result
from fanlight.consumer.wall import message
from fanlight.consumer.wall.counters import WallCounters
from fanlight.consumer.wall.track import Post

_MOST_WAITING: Final = 256
_MOST_WAITING_BYTES: Final = 1024 * 1024
# Results on their way to the event loop.
_MOST_POSTED: Final = 256
_STOP_S: Final = 1.0

Take = Callable[[str], None]
"""Called with each message for pages."""


class ResultSource(Protocol):
    """See `common.transport.results`.

    Attributes:
        refused, excess: number of results that were malformed, or too many.
    """

    refused: int
    excess: int

    def start(self) -> None: ...

    def stop(self, timeout_s: float) -> None: ...


MakeResults = Callable[[str, Callable[[Result], None], Callable[[FanlightError], None]], ResultSource]
"""Called with a stream and functions for results and for a failure, which any thread may call."""


class ResultQueue:
    """Messages that wait for one page; beyond a limit the oldest are dropped. Belongs to the event loop."""

    def __init__(self, counters: WallCounters) -> None:
        self._counters = counters
        self._texts: deque[str] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._texts)

    def push(self, text: str) -> None:
        self._texts.append(text)
        self._bytes += len(text)
        while len(self._texts) > _MOST_WAITING or self._bytes > _MOST_WAITING_BYTES:
            self.pop()
            self._counters.dropped_results += 1

    def pop(self) -> str:
        """The oldest; there is one."""
        text = self._texts.popleft()
        self._bytes -= len(text)
        return text

    def clear(self) -> None:
        """Drop what waits."""
        self._counters.dropped_results += len(self._texts)
        self._texts.clear()
        self._bytes = 0


class ResultFeeds:
    """Those of all streams. Belongs to the event loop.

    Args:
        make: makes the subscription of a stream; None where there are no results.
        post: runs a function on the event loop, from any thread.
        in_background: runs a function that waits.
        counters: count what is dropped.
    """

    def __init__(
        self, make: MakeResults | None, post: Post, in_background: Post, counters: WallCounters
    ) -> None:
        self._make = make
        self._post = post
        self._in_background = in_background
        self._counters = counters
        self._feeds: dict[str, _ResultFeed] = {}

    def join(self, stream: str, take: Take) -> None:
        """Pass on the results of this stream, until `leave`.

        Raises:
            FanlightError: there are none.
        """
        feed = self._feeds.get(stream)
        if feed is None:
            if self._make is None:
                raise FanlightError("this gateway has none")
            feed = _ResultFeed(stream, self._make, self._post, self._failed)
            self._feeds[stream] = feed
            feed.source.start()
        feed.takers.add(take)

    @property
    def dropped(self) -> int:
        """Of the subscriptions that there are: results that were not passed on."""
        return sum(feed.dropped for feed in list(self._feeds.values()))

    def leave(self, stream: str, take: Take) -> None:
        """Safe to call twice."""
        feed = self._feeds.get(stream)
        if feed is not None:
            feed.takers.discard(take)
            if not feed.takers:
                self._end(feed)

    def stop(self) -> None:
        """End all subscriptions, in the background."""
        for feed in list(self._feeds.values()):
            self._end(feed)

    def _end(self, feed: _ResultFeed) -> None:
        if self._feeds.get(feed.stream) is feed:
            del self._feeds[feed.stream]
            feed.takers.clear()
            self._counters.dropped_results += feed.dropped
            self._in_background(lambda: feed.source.stop(_STOP_S))

    def _failed(self, feed: _ResultFeed, error: FanlightError) -> None:
        for take in list(feed.takers):
            take(message.results(feed.stream, (), reason=str(error)))
        self._end(feed)


class _ResultFeed:
    """The results of one stream."""

    def __init__(
        self,
        stream: str,
        make: MakeResults,
        post: Post,
        on_failed: Callable[[_ResultFeed, FanlightError], None],
    ) -> None:
        self.stream = stream
        self.takers: set[Take] = set()
        self._post = post
        # Written by the thread of the source, but for `_taken`.
        self._posted = self._overrun = self._taken = 0
        self.source = make(stream, self._on_result, lambda error: post(lambda: on_failed(self, error)))

    @property
    def dropped(self) -> int:
        return self._overrun + self.source.refused + self.source.excess

    def _on_result(self, result: Result) -> None:
        """On the thread of the source."""
        if self._posted - self._taken >= _MOST_POSTED:
            self._overrun += 1
            return
        self._posted += 1
        text = message.results(self.stream, (result,))
        self._post(lambda: self._pass_on(text))

    def _pass_on(self, text: str) -> None:
        self._taken += 1
        for take in list(self.takers):
            take(text)
