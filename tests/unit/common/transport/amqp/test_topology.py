from __future__ import annotations

import pytest
from pika import BasicProperties

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import LARGEST, Codec, FrameHeader, Limits
from fanlight.common.transport.amqp import topology
from tests.support.headers import header


def test_names_are_readable_for_operators() -> None:
    assert topology.exchange("cam") == "fanlight.cam"
    assert topology.consumer_tag("cam", "wall") == "fanlight.cam.wall"
    assert topology.control_queue("cam", "ab12") == "fanlight.control.cam.ab12"
    assert topology.pool_queue("cam", "faces") == "fanlight.cam.pool.faces"
    assert topology.intra_exchange("cam") == "fanlight.cam.intra"


def test_a_pool_keeps_the_newest_frame_only_and_not_for_longer_than_it_may_be_presented() -> None:
    arguments = topology.pool_arguments(0.25)
    assert arguments["x-max-length"] == 1
    assert arguments["x-message-ttl"] == 250
    assert arguments["x-overflow"] == "drop-head"
    assert arguments["x-expires"] == 60_000, "a queue that was declared and never used does not stay"


@pytest.mark.parametrize("codec", Codec)
def test_the_properties_of_a_frame_are_what_its_reader_expects(codec: Codec) -> None:
    sent = header(7, codec, (4, 2), epoch=5, capture_ns=1_700_000_000_999_999_999, fps=29.97)
    properties = topology.frame_properties(sent, "ann")
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
    assert again == sent


def taken(
    properties: BasicProperties, trust: tuple[str, ...] = (), stream: str = "cam", limits: Limits = LARGEST
) -> FrameHeader:
    return topology.frame_header(properties, 24, stream=stream, trust=frozenset(trust), limits=limits)


def test_frames_are_taken_of_this_stream_and_of_users_that_are_trusted() -> None:
    sent = header(size=(4, 2))
    properties = topology.frame_properties(sent, "ann")
    assert taken(properties) == taken(properties, ("bob", "ann")) == sent
    with pytest.raises(WireFormatError, match="user_id is 'ann': allowed is --trust, which is bob,eve"):
        taken(properties, ("eve", "bob"))
    with pytest.raises(WireFormatError, match="stream is 'cam': allowed is 'other'"):
        taken(properties, stream="other")
    with pytest.raises(WireFormatError, match="body size is 24: allowed is 1 to 23 bytes"):
        taken(properties, limits=Limits(100, 23))


@pytest.mark.parametrize("user", [None, b"\xff"])
def test_a_frame_without_a_user_is_not_trusted(user: str | None) -> None:
    properties = BasicProperties(app_id="fanlight", user_id=user)
    with pytest.raises(WireFormatError):
        taken(properties, ("ann",))


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
    for_the_end = topology.freshness_arguments(max_age_s, until_end=True)
    assert for_the_end == {
        "x-max-length": length,
        "x-message-ttl": max(ttl_ms, 60_000),
        "x-overflow": "drop-head",
    }
