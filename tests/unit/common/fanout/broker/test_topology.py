from __future__ import annotations

import pytest
from pika import BasicProperties

from common import units
from common.fanout.broker import topology
from common.frame import Codec, FrameHeader


def test_names_are_readable_for_operators() -> None:
    assert topology.exchange("cam") == "fanlight.cam"
    assert topology.consumer_queue("cam", "wall", "ab12") == "fanlight.cam.wall.ab12"
    assert topology.control_queue("cam", "ab12") == "fanlight.control.cam.ab12"


@pytest.mark.parametrize(
    ("share", "name"),
    [
        ("4f3b00112233", "cam.4f3b00112233"),
        ("4f3b00112233.grey-640x360", "cam.4f3b00112233.grey-640x360"),
    ],
)
def test_a_hub_has_a_routing_key_for_its_host_and_form(share: str, name: str) -> None:
    assert topology.share_key("cam", share) == name


def test_no_stream_has_the_exchange_of_the_hubs() -> None:
    """A stream's name has no dot."""
    with pytest.raises(ValueError, match="letters"):
        units.name(topology.SHARED_EXCHANGE.removeprefix("fanlight."))


@pytest.mark.parametrize("codec", Codec)
def test_the_properties_of_a_frame_are_what_its_reader_expects(codec: Codec) -> None:
    header = FrameHeader(
        stream="cam", codec=codec, epoch=5, seq=7, capture_ns=1_700_000_000_999_999_999,
        width=4, height=2, key=True, fps=29.97,
    )  # fmt: skip
    properties = topology.frame_properties(header, "ann")
    assert (properties.content_type, properties.app_id) == (codec.content_type, "fanlight")
    assert (properties.user_id, properties.delivery_mode) == ("ann", 1), "the broker compares the user"
    assert properties.timestamp == 1_700_000_000, "whole seconds, not rounded up"
    assert (properties.expiration, properties.reply_to, properties.type) == (None, None, None)
    again = FrameHeader.from_amqp(
        properties.headers,
        content_type=properties.content_type,
        app_id=properties.app_id,
        body_size=24,
    )
    assert again == header


def test_the_properties_of_a_frame_survive_the_wire() -> None:
    header = FrameHeader(
        stream="cam", codec=Codec.SHARED, epoch=2**62, seq=2**40, capture_ns=1_700_000_000_000_000_001,
        width=640, height=360, key=True, fps=30.0,
    )  # fmt: skip
    sent = topology.frame_properties(header, "ann")
    received = BasicProperties()
    received.decode(b"".join(sent.encode()))
    assert received == sent
    assert received.headers == header.to_amqp()


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
