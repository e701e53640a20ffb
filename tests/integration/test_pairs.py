"""Frames of several streams that were captured at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fanlight import Consumer, Frame, pairs
from fanlight.common.model.pixels import Pixels
from scripts.lib.fault_control import FaultControl
from tests.support.commands import running
from tests.support.marked_stream import is_marked, marked
from tests.support.stereo import triggered
from tests.support.timing import scaled

FPS = 10
# Less than half of a frame interval, and much, as the clocks of a loaded machine are not read at once.
TOLERANCE = "40ms"


def picture(capture_ns: int) -> Pixels:
    return marked(capture_ns, 64, 48)


@pytest.fixture
def names(stream: str) -> list[str]:
    return [f"{stream}-left", f"{stream}-right"]


def check(pair: tuple[Frame, ...], names: list[str], after_ns: int = 0) -> int:
    """The capture time of a right pair."""
    left, right = pair
    assert [left.stream, right.stream] == names
    assert left.capture_ns == right.capture_ns > after_ns
    assert is_marked(left)
    assert is_marked(right)
    assert max(left.age_s, right.age_s) <= 0.5
    return left.capture_ns


def test_pairs_are_of_the_same_capture_time_until_the_end(broker_url: str, names: list[str]) -> None:
    with (
        triggered(broker_url, [(name, picture) for name in names], FPS),
        Consumer(streams=names, url=broker_url, via="broker") as consumer,
    ):
        found = pairs(consumer, TOLERANCE)
        count = last_ns = 0
        for _ in range(2):
            for pair in found:
                last_ns = check(pair, names, last_ns)
                count += 1
                if count % 5 == 0:
                    break
        consumer.close()
        assert not list(found)
        for name in names:
            # What is neither in a pair nor unmatched waits for its partner.
            assert 0 <= consumer.stats(name).presented - count - found.unmatched[name] <= 16


def test_each_pair_goes_to_one_of_the_threads(broker_url: str, names: list[str]) -> None:
    got: list[tuple[Frame, ...]] = []
    with (
        triggered(broker_url, [(name, picture) for name in names], FPS),
        Consumer(streams=names, url=broker_url, via="broker") as consumer,
    ):
        found = pairs(consumer, TOLERANCE)

        def take() -> None:
            got.extend(next(found) for _ in range(3))

        threads = [threading.Thread(target=take) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(scaled(30))
    assert len({check(pair, names) for pair in got}) == 9


def test_pairs_of_producers_whose_clocks_differ_by_an_hour(
    broker_url: str, names: list[str], tmp_path: Path
) -> None:
    ahead_ns = 3600 * 10**9
    FaultControl(tmp_path / "clock").clock_offset_ns = ahead_ns
    where = ("--url", broker_url, "--size", "160x90", "--fps", str(FPS))
    with (
        running("producer", "--stream", names[0], *where),
        running(
            "scripts.lib.fault_control", str(tmp_path / "clock"), "producer", "--stream", names[1], *where
        ),
        Consumer(streams=names, url=broker_url, via="broker") as consumer,
    ):
        found = pairs(consumer, "100ms")
        for _ in range(5):
            left, right = next(found)
            # Half of a round trip is the error of an estimate: on a loaded machine that may be much.
            assert abs(right.capture_ns - ahead_ns - left.capture_ns) < 2 * 10**9
