from __future__ import annotations

import pytest

from common.fanout.broker import topology


def test_names_are_readable_for_operators() -> None:
    assert topology.exchange("cam") == "fanlight.cam"
    assert topology.consumer_queue("cam", "wall", "ab12") == "fanlight.cam.wall.ab12"
    assert topology.control_queue("cam", "ab12") == "fanlight.control.cam.ab12"


def test_no_stream_of_this_contract_shares_the_control_exchange_queue_names() -> None:
    assert topology.consumer_queue("cam", "x", "y") != topology.control_queue("cam", "y")


@pytest.mark.parametrize(
    ("max_age_s", "length", "ttl_ms"),
    [
        (0.5, 30, 500),
        (0.001, 1, 1),
        (1e-9, 1, 1),
        (1.0, 60, 1000),
        (0.5001, 31, 501),
        (3600, 216000, 3600000),
    ],
)
def test_a_queue_holds_what_may_still_be_shown(max_age_s: float, length: int, ttl_ms: int) -> None:
    assert topology.freshness_arguments(max_age_s) == {
        "x-max-length": length,
        "x-message-ttl": ttl_ms,
        "x-overflow": "drop-head",
    }


def test_acknowledging_several_at_once_does_not_use_up_the_prefetch() -> None:
    assert 1 <= topology.ACK_EVERY < topology.PREFETCH
