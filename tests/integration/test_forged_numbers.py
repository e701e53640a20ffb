"""One forged message in a producer's name blinds nobody, whatever its number is."""

from __future__ import annotations

import time

import pytest

from fanlight.common.model.frame import Codec
from fanlight.common.transport.amqp.topology import exchange, frame_properties
from fanlight.consumer import Consumer
from tests.support.headers import header
from tests.support.marked_stream import Marking
from tests.support.roles import channel_of
from tests.support.timing import scaled, wait_until


@pytest.mark.parametrize("ahead", [2**62, 900], ids=["impossible", "possible"])
def test_a_forged_number_is_left_within_two_seconds(broker_url: str, stream: str, ahead: int) -> None:
    with (
        Marking(broker_url, stream) as marking,
        Consumer(stream, "w", url=broker_url, via="broker") as consumer,
        channel_of(broker_url) as channel,
    ):
        first = consumer.read(scaled(10))
        assert first is not None
        seq = first.seq + ahead
        forged = header(
            seq, Codec.RAW, stream=stream, epoch=marking.producer.epoch, capture_ns=time.time_ns()
        )
        channel.basic_publish(
            exchange(stream), "", bytes(64 * 48 * 3), frame_properties(forged, "fanlight")
        )
        seen: list[int] = []

        def read_until(wanted: bool) -> bool:
            frame = consumer.read(0.1)
            if frame is not None:
                seen.append(frame.seq)
            return bool(seen) and (seen[-1] == seq) is wanted

        wait_until(lambda: read_until(True), 20, "the forged frame is shown")
        wait_until(lambda: read_until(False), 5, "the producer is followed again")
        assert consumer.stats().lost < 1500
        assert consumer.stats().duplicate > 0, "what the producer sent meanwhile"
