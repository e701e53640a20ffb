"""A worker of a pool: what it asks for, what it keeps, what it counts."""

from __future__ import annotations

import numpy as np
import pytest

from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.pixels import FULL_BGR
from fanlight.consumer.stream_source import StreamSource
from tests.unit.consumer.build import MS, SECOND, Receiving, Screen, encoded

PICTURE = np.zeros((48, 64, 3), np.uint8)


def raw(seq: int) -> EncodedFrame:
    return encoded(Codec.RAW, seq, PICTURE.tobytes())


def test_a_member_of_a_pool_asks_when_it_has_finished_the_last_frame() -> None:
    bench, screen = Receiving(), Screen()
    asked: list[int] = []
    source = StreamSource(
        FULL_BGR,
        bench.mailbox,
        bench.receiver,
        bench.counters,
        screen,
        ask=lambda: asked.append(len(screen.frames)),
    )
    assert source.take(0) is None
    assert source.take(0) is None
    assert asked == [0], "once, although it waited twice"
    bench.receive(encoded(Codec.RAW, 0, PICTURE.tobytes()))
    assert source.take(0) is not None
    assert asked == [0], "the program has the frame"
    assert source.take(0) is None
    assert asked == [0, 1]
    bench.receive(encoded(Codec.JPEG, 1, b"broken"))
    assert source.take(0) is None
    assert source.take(0) is None
    assert asked == [0, 1, 1], "what cannot be decoded is finished, too"
    bench.receive(encoded(Codec.RAW, 2, PICTURE.tobytes()))
    source.restart()
    assert source.take(0) is None
    assert asked == [0, 1, 1, 1], "a signal handler's exception drops the frame"


def test_what_other_members_of_a_pool_get_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    bench = Receiving(pool="workers")
    bench.receiver.on_connected()
    bench.receive(*[raw(seq) for seq in (3, 9, 40, 9)])
    assert (bench.stats.received, bench.stats.lost, bench.stats.duplicate) == (3, 0, 1)
    assert bench.requested == [], "every frame stands alone"
    assert caplog.messages == []


def test_a_frame_that_is_dropped_is_no_work_for_a_member_of_a_pool() -> None:
    bench = Receiving(pool="workers")

    def kept(frame: EncodedFrame, age_ms: int = 10) -> bool:
        capture_ns = bench.clock.now_ns() - age_ms * MS
        header = frame.header._replace(capture_ns=capture_ns)
        return bench.receiver.on_frame(EncodedFrame(header, frame.body), bench.host.wall_ns())

    assert kept(raw(1))
    assert not kept(raw(1)), "again"
    assert not kept(raw(2), age_ms=501), "too old"
    assert kept(raw(3))


def test_a_member_that_works_is_not_told_that_nothing_comes(caplog: pytest.LogCaptureFixture) -> None:
    bench = Receiving(pool="workers")
    bench.receiver.on_connected()
    bench.asking = False
    for _ in range(60):
        bench.host.now_ns += SECOND
        bench.receiver.on_tick()
    assert caplog.messages == []
    bench.asking = True
    for _ in range(60):
        bench.host.now_ns += SECOND
        bench.receiver.on_tick()
    assert any("nothing arrives" in message for message in caplog.messages)
