"""A route whose `take` was ended by an exception, as of a signal handler."""

from __future__ import annotations

import pytest

from tests.unit.consumer.build import sharing
from tests.unit.consumer.test_route import SEARCH, Bench, seq_of


@pytest.mark.parametrize("idle", [True, False])
def test_a_stream_that_was_interrupted_amid_a_frame_restarts(idle: bool) -> None:
    bench = Bench()
    route = bench.route()
    bench.stream.idle = idle
    route.restart()
    assert bench.stream.restarts == (0 if idle else 1)
    assert bench.follows == ([] if idle else [True])


def test_interrupted_on_the_way_to_a_hub_it_follows_the_stream_and_finds_the_hub_again() -> None:
    bench = Bench()
    route = bench.route()
    bench.stream.waiting = [0]
    with sharing(bench.ring) as hub:
        hub.keep_alive(bench.now_ns)
        hub.share(5, now_ns=bench.now_ns)
        assert seq_of(route.take(0)) == 0, "what waits is presented first"
        paused = [bench.admission.paused]
        route.restart()
        paused.append(bench.admission.paused)
        assert paused == [True, False]
        assert bench.follows == [False, True]
        bench.now_ns += SEARCH
        hub.keep_alive(bench.now_ns)
        assert seq_of(route.take(0)) == 5


def test_interrupted_with_a_hub_it_stays_there() -> None:
    bench = Bench()
    with sharing(bench.ring) as hub:
        hub.keep_alive(bench.now_ns)
        hub.share(5, now_ns=bench.now_ns)
        route = bench.route()
        assert seq_of(route.take(0)) == 5
        route.restart()
        hub.share(6, now_ns=bench.now_ns)
        assert seq_of(route.take(0)) == 6
    assert (bench.stream.restarts, bench.follows) == (0, [])
