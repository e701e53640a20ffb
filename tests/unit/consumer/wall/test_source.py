"""What a subscription of the wall passes on."""

from __future__ import annotations

from contextlib import closing

from fanlight.common import clock
from fanlight.common.model.frame import EncodedFrame
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.source import Subscription
from tests.support.broker import tcp_url
from tests.support.tcp_producer import TcpProducer, frame_table
from tests.support.tcp_wire import FRAME, packed
from tests.support.timing import wait_until

HOUR_NS = 3_600_000_000_000


def test_a_frame_of_unknown_age_is_not_passed_on() -> None:
    url = tcp_url("multiplex")
    passed: list[EncodedFrame] = []
    subscription = Subscription(
        "cam", WallSettings(url=url), lambda frame, _gateway_ns: passed.append(frame), lambda _error: None
    )
    with closing(TcpProducer(url)) as producer:
        subscription.start()
        try:
            wait_until(lambda: producer.watched, 20)
            # The producer's clock is ahead, and it has not yet said so; then it is set.
            ahead_ns = clock.wall_ns() + HOUR_NS
            producer.send(packed(FRAME, frame_table("cam", seq=0, capture_ns=ahead_ns), b"picture"))
            producer.send(packed(FRAME, frame_table("cam", seq=1), b"picture"))
            wait_until(lambda: passed, 20)
            assert [frame.header.seq for frame in passed] == [1]
            assert subscription._counters.stats(clock.monotonic_ns()).late == 1
        finally:
            subscription.stop()
