"""By which way frames come, with real rings; the stream and its receiver are stood in for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.pixels import FULL_BGR
from fanlight.common.shm.folder import ring_folder
from fanlight.common.shm.names import RingName
from fanlight.consumer.account import Account
from fanlight.consumer.frame import Frame
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.route import Route
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode, Via
from fanlight.consumer.stream_way import StreamWay
from tests.support.headers import header
from tests.unit.consumer.build import MS, SECOND, Hub, Screen, own_ring, sharing

LOOK = 200 * MS
Last = tuple[int, int] | None


class Stream:
    """Frames that wait as the stream."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.timeouts_s: list[float] = []
        self.rested = 0

    @property
    def empty(self) -> bool:
        return not self.waiting

    def take(self, timeout_s: float) -> Frame | None:
        self.timeouts_s.append(timeout_s)
        if not self.waiting:
            return None
        return Frame(np.zeros((1, 1, 3), np.uint8), header(self.waiting.pop(0)), 0, 0, 0.0, 0)

    def rest(self) -> None:
        self.rested += 1


class Bench:
    """A route and what it told the others; a clock that stands still unless it is turned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = monotonic_ns()
        for module in ("route", "hub_way"):
            monkeypatch.setattr(f"fanlight.consumer.{module}.monotonic_ns", lambda: self.now_ns)
        self.ring = own_ring()
        self.log: list[object] = []
        self.stream, self.account, self.screen = Stream(), Account(), Screen()
        self.last: Last = None
        self.left_epochs: set[int] = set()

    def route(self, *, ring: RingName | None = None, **settings: Any) -> Route:
        return Route(
            ConsumerSettings(**settings),
            ring or self.ring,
            cast("StreamWay", self.stream),
            cast("Receiver", self),
            self.account,
            self.screen,
            follow=lambda follow: self.log.append("follow" if follow else "leave"),
        )

    # What a receiver does.

    def pause(self) -> Last:
        self.log.append("pause")
        return self.last

    def resume(self, last: Last) -> None:
        self.log.append(("resume", last))
        self.last = last

    def refuses(self, epoch: int) -> bool:
        return epoch in self.left_epochs


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


@pytest.fixture
def hub(bench: Bench) -> Iterator[Hub]:
    """One that is at work and has shared the frame 5."""
    with sharing(bench.ring) as hub:
        hub.share(5, now_ns=bench.now_ns)
        yield hub


def seq_of(frame: Frame | None) -> int | None:
    return None if frame is None else frame.seq


# To a hub ----------------------------------------------------------------------------------------------


def test_a_hub_that_is_there_from_the_beginning_is_used_and_the_stream_never_joined(
    bench: Bench, hub: Hub
) -> None:
    route = bench.route()
    assert not route.follows_stream
    assert seq_of(route.take(0)) == 5
    hub.share(6, now_ns=bench.now_ns)
    assert seq_of(route.take(0)) == 6
    assert (set(bench.log), bench.stream.timeouts_s, bench.stream.rested) == ({"pause"}, [], 1)


def test_without_a_hub_the_stream_is_taken_and_hubs_are_looked_for_now_and_then(bench: Bench) -> None:
    route = bench.route()
    assert route.follows_stream
    bench.stream.waiting = [1]
    assert seq_of(route.take(9)) == 1
    assert bench.stream.timeouts_s == [LOOK / SECOND], "to look for one again"
    assert bench.log == []


def test_frames_that_wait_as_the_stream_come_before_those_of_a_hub_that_is_found(bench: Bench) -> None:
    route = bench.route()
    bench.stream.waiting = [3, 4]
    bench.last = (1, 5)
    assert seq_of(route.take(0)) == 3
    with sharing(bench.ring) as hub:
        hub.share(5, now_ns=bench.now_ns)
        hub.share(6, now_ns=bench.now_ns)
        bench.now_ns += LOOK - 1
        bench.stream.waiting += [5]
        assert seq_of(route.take(0)) == 4
        assert bench.log == [], "it was not looked for yet"
        bench.now_ns += 1
        assert seq_of(route.take(0)) == 5
        assert bench.log == ["pause", "leave"]
        assert bench.stream.rested == 0
        assert seq_of(route.take(0)) == 6, "and 5 is not shown again"
        assert bench.stream.rested == 1


def test_a_hub_without_a_picture_is_none_yet(bench: Bench) -> None:
    with sharing(bench.ring) as hub:
        route = bench.route()
        assert route.follows_stream
        route.take(0)
        hub.share(0, now_ns=bench.now_ns)
        bench.now_ns += LOOK
        assert seq_of(route.take(0)) == 0


def test_a_hub_that_does_not_get_on_is_not_used(bench: Bench, hub: Hub) -> None:
    bench.now_ns += SECOND
    route = bench.route()
    assert route.follows_stream
    route.take(0)
    hub.keep_alive(bench.now_ns)
    bench.now_ns += LOOK
    assert seq_of(route.take(0)) == 5


def test_pictures_of_another_source_are_not_used(bench: Bench, hub: Hub) -> None:
    assert bench.route(ring=RingName("cam", FULL_BGR, "00000000")).follows_stream


def test_a_consumer_that_wants_no_hub_waits_for_the_stream_alone(bench: Bench, hub: Hub) -> None:
    route = Route(
        ConsumerSettings(via=Via.BROKER),
        None,
        cast("StreamWay", bench.stream),
        cast("Receiver", bench),
        bench.account,
        bench.screen,
        follow=bench.log.append,
    )
    assert route.follows_stream
    assert route.take(9) is None
    assert (bench.stream.timeouts_s, bench.log) == ([9], [])


# From a hub --------------------------------------------------------------------------------------------


def leave(bench: Bench, route: Route) -> None:
    """Let a hub that has left be noticed."""
    assert route.take(0) is None
    bench.now_ns += 100 * MS
    assert route.take(0) is None


def test_behind_a_hub_that_closes_the_stream_goes_on(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    route.take(0)
    hub.segment.close()
    leave(bench, route)
    assert bench.log[-2:] == [("resume", (1, 5)), "follow"]
    bench.stream.waiting = [6]
    assert seq_of(route.take(0)) == 6


def test_a_hub_that_stops_is_left_and_taken_again_when_it_goes_on(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    route.take(0)
    bench.now_ns += 500 * MS
    assert route.take(0) is None
    assert "follow" not in bench.log, "it may only have no frames"
    bench.now_ns += 101 * MS
    route.take(0)
    assert bench.log[-2:] == [("resume", (1, 5)), "follow"]
    hub.keep_alive(bench.now_ns)
    hub.share(6, now_ns=bench.now_ns)
    bench.now_ns += LOOK
    assert seq_of(route.take(0)) == 6
    assert bench.log[-3:-1] == ["pause", "leave"]


def test_a_successor_is_followed_without_the_stream(bench: Bench, hub: Hub) -> None:
    """Pictures of another size, say: nothing is shown twice, and nobody joins the stream for it."""
    route = bench.route()
    route.take(0)
    with sharing(bench.ring) as successor:
        successor.share(5, 6, now_ns=bench.now_ns)
        hub.segment.close()
        assert route.take(0) is None
        assert seq_of(route.take(0)) == 6
    assert set(bench.log) == {"pause"}
    assert bench.account.stats().lost == 0


def test_a_successor_has_a_moment_to_come(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    route.take(0)
    hub.segment.close()
    route.take(0)
    bench.now_ns += 99 * MS
    route.take(0)
    with sharing(bench.ring) as successor:
        successor.share(6, now_ns=bench.now_ns)
        assert route.take(0) is None
        assert seq_of(route.take(0)) == 6
    assert set(bench.log) == {"pause"}


def test_who_takes_frames_from_hubs_only_never_joins_the_stream(bench: Bench, hub: Hub) -> None:
    route = bench.route(via=Via.HOST)
    assert not route.follows_stream
    assert seq_of(route.take(0)) == 5
    hub.segment.close()
    leave(bench, route)
    assert route.take(0) is None
    assert "follow" not in bench.log
    with sharing(bench.ring) as another:
        another.share(5, now_ns=bench.now_ns)
        bench.now_ns += LOOK
        assert route.take(0) is None, "it was shown by the first one"
        another.share(6, now_ns=bench.now_ns)
        assert seq_of(route.take(0)) == 6
    assert "follow" not in bench.log


def test_who_takes_frames_from_hubs_only_waits_for_one(bench: Bench) -> None:
    route = bench.route(via=Via.HOST)
    assert not route.follows_stream
    assert bench.log == ["pause"]
    assert route.take(0) is None
    with sharing(bench.ring) as hub:
        hub.share(0, now_ns=bench.now_ns)
        bench.now_ns += LOOK
        assert seq_of(route.take(0)) == 0


# Hubs that cannot be used ------------------------------------------------------------------------------


def test_a_hub_that_keeps_pictures_too_short_is_refused_with_one_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with sharing(bench.ring, grace_ns=100 * MS) as hub:
        hub.share(0, now_ns=bench.now_ns)
        route = bench.route(playout=PlayoutMode.SYNC, delay_s=0.15)
        assert route.follows_stream
        for _ in range(20):
            route.take(0)
            bench.now_ns += LOOK
            hub.keep_alive(bench.now_ns)
        assert bench.log == []
        assert caplog.messages == [
            "the hub keeps shared pictures for 100 ms, here they are needed for 150: give it a longer "
            "--max-age; the stream itself will do"
        ]
        assert not bench.route().follows_stream, "for `latest` it will do"


def test_a_hub_of_a_producer_that_was_left_is_not_used_until_that_one_goes_on(
    bench: Bench, hub: Hub
) -> None:
    bench.left_epochs = {1}
    route = bench.route()
    assert route.follows_stream
    route.take(0)
    bench.left_epochs.clear()
    for _ in range(5):
        bench.now_ns += LOOK
        hub.keep_alive(bench.now_ns)
    assert seq_of(route.take(0)) == 5


def test_a_file_that_is_no_segment_does_no_harm(
    bench: Bench, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = ring_folder() / bench.ring.segment("00000000")
    wrong.touch(0o600)
    try:
        assert seq_of(bench.route().take(0)) == 5
    finally:
        wrong.unlink()
    assert len(caplog.messages) <= 1
