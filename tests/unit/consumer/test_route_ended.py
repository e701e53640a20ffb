"""A route at the end of the stream, which the producer or a hub has told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fanlight.common.model.bye import Bye
from fanlight.consumer.route import Route
from tests.unit.consumer.build import SECOND, Hub, sharing
from tests.unit.consumer.test_route import Bench, seq_of


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def hub(bench: Bench) -> Iterator[Hub]:
    """One that is at work and has shared the frame 5."""
    with sharing(bench.ring) as hub:
        hub.keep_alive(bench.now_ns)
        hub.share(5, now_ns=bench.now_ns)
        yield hub


def over(route: Route) -> bool:
    return route.ended


def test_the_stream_has_ended_when_its_last_frame_is_taken_and_not_if_one_follows(bench: Bench) -> None:
    route = bench.route()
    bench.receive(5)
    bench.stream.waiting = [5]
    assert bench.admission.end(Bye("cam", 1, 5), bench.now_ns) == 0
    assert not over(route)
    route.take(0)
    assert over(route)
    bench.receive(6)
    assert not over(route), "it went on"


@pytest.mark.parametrize("epoch", [0, 2])
def test_the_end_of_another_producer_ends_nothing(bench: Bench, epoch: int) -> None:
    route = bench.route()
    bench.receive(5)
    assert bench.admission.end(Bye("cam", epoch, 5), bench.now_ns) is None
    assert not over(route)


def test_the_end_of_a_hubs_stream_is_known_when_its_last_picture_is_taken(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    assert seq_of(route.take(0)) == 5
    hub.share(6, now_ns=bench.now_ns)
    hub.segment.set_ended(True)
    assert bench.admission.end(Bye("cam", 1, 6), bench.now_ns) is None, "the hub says when"
    assert not over(route)
    assert seq_of(route.take(0)) == 6
    assert over(route)
    hub.segment.set_ended(False)
    assert not over(route)


def test_the_end_stays_known_when_the_hub_leaves(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    route.take(0)
    hub.segment.set_ended(True)
    hub.segment.close()
    bench.now_ns += SECOND
    route.take(0)
    assert bench.follows == [True]
    assert over(route)
    bench.receive(6)
    assert not over(route)


def test_who_comes_to_a_hub_after_the_end_waits_for_the_next_producer(bench: Bench, hub: Hub) -> None:
    hub.segment.set_ended(True)
    route = bench.route()
    route.take(0)
    assert not over(route)


def test_who_changes_to_a_hub_at_the_end_knows_of_it(bench: Bench, hub: Hub) -> None:
    hub.segment.set_ended(True)
    bench.receive(5)
    route = bench.route()
    route.take(0)
    assert over(route)
