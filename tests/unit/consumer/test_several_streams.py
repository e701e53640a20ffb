from __future__ import annotations

from typing import Any

import pytest

from fanlight import ConfigError, Consumer
from fanlight.consumer.several_streams import checked_streams
from tests.support.broker import tcp_url
from tests.support.life_cycles import check_every_order, entered
from tests.unit.consumer.test_consumer import CALLS

URL = tcp_url("multiplex")


@pytest.mark.parametrize("streams", [["a"], ("a", "b"), [str(number) for number in range(64)]])
def test_names_of_streams(streams: list[str]) -> None:
    assert checked_streams(streams, "cam") == tuple(streams)


BAD: list[Any] = [
    "left", b"left", [], ["a", "a"], ["a b"], [1], None, 5, [str(number) for number in range(65)], [["a"]],
]  # fmt: skip


@pytest.mark.parametrize("streams", BAD)
def test_names_that_cannot_be_used_are_one_line(streams: Any) -> None:
    with pytest.raises(ConfigError, match=r"^streams .*1 to 64 names") as caught:
        checked_streams(streams, "cam")
    assert "\n" not in str(caught.value)


def test_stream_and_streams_exclude_one_another() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Consumer("front", streams=["left"], url=URL)


@pytest.mark.parametrize("streams", [["left"], ["left", "right"]])
def test_every_order_of_calls_works_or_says_that_it_was_closed(streams: list[str]) -> None:
    calls = {**CALLS, "stats": lambda consumer: consumer.stats("left"), "with": entered}
    check_every_order(lambda: Consumer(streams=streams, url=URL), calls, 3)


def test_statistics_are_those_of_the_stream_that_is_named() -> None:
    with Consumer(streams=["left", "right"], url=URL) as consumer:
        assert consumer.streams == ("left", "right")
        assert consumer.stats("right").presented == 0
        for wrong in (None, "cam"):
            with pytest.raises(ConfigError, match=r"^stream .*left, right"):
                consumer.stats(wrong)
    with Consumer("front", url=URL) as consumer:
        assert consumer.stats("front").presented == consumer.stats().presented == 0
        with pytest.raises(ConfigError, match="front"):
            consumer.stats("left")
