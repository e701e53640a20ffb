"""The results of a stream, for all pages that draw it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fanlight.common.model.errors import BrokerRefused, FanlightError
from fanlight.common.model.result import Result
from fanlight.consumer.wall.counters import WallCounters
from fanlight.consumer.wall.result_feed import ResultFeeds, ResultQueue
from tests.support.found import found
from tests.unit.consumer.wall.build import ScriptedResults


class Loop:
    """Runs what is posted when the test says so."""

    def __init__(self) -> None:
        self.posted: list[Callable[[], None]] = []

    def post(self, call: Callable[[], None]) -> None:
        self.posted.append(call)

    def run(self) -> None:
        while self.posted:
            self.posted.pop(0)()


class Fed:
    def __init__(self) -> None:
        self.loop = Loop()
        self.counters = WallCounters()
        self.sources: list[ScriptedResults] = []
        self.texts: list[str] = []
        self.feeds = ResultFeeds(self._make, self.loop.post, lambda call: call(), self.counters)

    def take(self, text: str) -> None:
        self.texts.append(text)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]

    def _make(
        self,
        stream: str,
        on_result: Callable[[Result], None],
        on_failed: Callable[[FanlightError], None],
    ) -> ScriptedResults:
        self.sources.append(ScriptedResults(stream, on_result, on_failed))
        return self.sources[-1]


@pytest.fixture
def fed() -> Fed:
    return Fed()


def test_results_are_received_once_however_many_pages_draw_them(fed: Fed) -> None:
    others: list[str] = []
    fed.feeds.join("cam", fed.take)
    fed.feeds.join("cam", others.append)
    (source,) = fed.sources
    assert (source.stream, source.started) == ("cam", True)
    source.send(found(5))
    fed.loop.run()
    assert fed.messages[0]["results"][0]["seq"] == 5
    assert fed.texts[0] is others[0], "made once"


def test_they_are_not_received_any_more_when_nobody_draws_them(fed: Fed) -> None:
    fed.feeds.join("cam", fed.take)
    fed.feeds.leave("cam", fed.take)
    fed.feeds.leave("cam", fed.take)
    (source,) = fed.sources
    source.send(found(5))
    fed.loop.run()
    assert source.stopped
    assert fed.texts == []
    fed.feeds.join("cam", fed.take)
    assert len(fed.sources) == 2


def test_why_there_are_none_is_said_and_it_is_tried_again_by_the_next(fed: Fed) -> None:
    fed.feeds.join("cam", fed.take)
    fed.sources[0].fail(BrokerRefused("viewer may not read fanlight.cam.results"))
    fed.loop.run()
    assert fed.messages == [
        {
            "type": "results", "stream": "cam", "results": [],
            "reason": "viewer may not read fanlight.cam.results",
        }
    ]  # fmt: skip
    assert fed.sources[0].stopped
    fed.feeds.join("cam", fed.take)
    assert len(fed.sources) == 2


def test_a_gateway_without_results_says_so() -> None:
    feeds = ResultFeeds(None, Loop().post, lambda call: call(), WallCounters())
    with pytest.raises(FanlightError, match="this gateway has none"):
        feeds.join("cam", lambda _: None)


def test_what_a_loop_does_not_take_in_time_is_dropped_and_counted(fed: Fed) -> None:
    fed.feeds.join("cam", fed.take)
    for seq in range(300):
        fed.sources[0].send(found(seq))
    fed.sources[0].refused, fed.sources[0].excess = 3, 2
    assert (len(fed.loop.posted), fed.feeds.dropped) == (256, 44 + 5)
    fed.feeds.stop()
    assert (fed.feeds.dropped, fed.counters.dropped_results) == (0, 49)


def test_what_waits_for_a_page_is_bounded_and_the_oldest_gives_way() -> None:
    counters = WallCounters()
    queue = ResultQueue(counters)
    for number in range(300):
        queue.push(str(number))
    assert (queue.pop(), counters.dropped_results) == ("44", 44)
    for _ in range(40):
        queue.push("x" * 60_000)
    assert queue.pop() == "x" * 60_000
    queue.clear()
    assert not queue
    assert counters.dropped_results == 338, "all but the two that were taken"
