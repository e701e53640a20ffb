from __future__ import annotations

import pytest

from fanlight import ConfigError, Consumer, pairs
from tests.support.broker import tcp_url


def test_a_consumer_of_one_stream_has_no_pairs() -> None:
    with (
        Consumer("cam", url=tcp_url("multiplex")) as consumer,
        pytest.raises(ConfigError, match="streams="),
    ):
        pairs(consumer)
    with (
        Consumer(streams=["cam"], url=tcp_url("multiplex")) as consumer,
        pytest.raises(ConfigError, match="streams="),
    ):
        pairs(consumer)


@pytest.mark.parametrize("tolerance", ["10", "ten", -1, 0, 11, None, True])
def test_a_tolerance_that_cannot_be_used_is_refused(tolerance: float) -> None:
    with (
        Consumer(streams=["a", "b"], url=tcp_url("multiplex")) as consumer,
        pytest.raises(ConfigError, match=r"^tolerance"),
    ):
        pairs(consumer, tolerance)


def test_pairs_of_a_closed_consumer_are_none() -> None:
    consumer = Consumer(streams=["a", "b"], url=tcp_url("multiplex"))
    found = pairs(consumer, 0.01)
    consumer.close()
    with pytest.raises(StopIteration):
        next(found)
    assert found.unmatched == {"a": 0, "b": 0}
