"""What a receiver does besides taking frames: leaves the stream to a hub, reports, asks for the time."""

from __future__ import annotations

import pytest

from fanlight.common.model.control import ClockReply, ClockRequest, Reason
from fanlight.consumer.stats import Event
from tests.unit.consumer.build import SECOND
from tests.unit.consumer.test_receiver import Bench, film, raw


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


# The way by a hub ----------------------------------------------------------------------------------------


def test_while_a_hub_serves_frames_of_the_stream_count_for_nothing(bench: Bench) -> None:
    bench.send_on(raw(3))
    assert bench.receiver.pause() == (1, 3)
    assert bench.send_on(raw(4)) is None
    assert (bench.stats.received, bench.encoded, bench.outcomes) == (1, [3], [])
    assert bench.receiver.pause() == (1, 3)


def test_before_the_first_frame_there_is_no_last_one(bench: Bench) -> None:
    assert bench.receiver.pause() is None
    bench.receiver.resume(None)
    assert bench.send_on(raw(0)) is not None


def test_behind_a_hub_the_stream_goes_on_with_a_keyframe_that_the_hub_has_not_brought(bench: Bench) -> None:
    frames = film(12, keys=(0, 6, 10))
    bench.send_on(frames[0])
    bench.receiver.pause()
    bench.receiver.resume((1, 6))
    assert bench.receiver.pause() == (1, 6)
    bench.receiver.resume((1, 6))
    bench.receiver.on_following()
    shown = [bench.send_on(one) for one in frames[5:]]
    assert [one and one.header.seq for one in shown] == [None] * 5 + [10, 11]
    reset, after = shown[5:]
    assert reset is not None
    assert after is not None
    assert (reset.reset, after.reset) == (True, False)
    assert (bench.stats.lost, bench.stats.repeated, bench.asked) == (0, 0, [Reason.JOIN])


def test_frames_that_came_by_neither_way_are_lost(bench: Bench) -> None:
    bench.send_on(raw(0))
    bench.receiver.pause()
    bench.receiver.resume((1, 4))
    shown = bench.send_on(raw(7))
    assert shown is not None
    assert (shown.lost_before, bench.stats.lost) == (2, 2)


def test_a_producer_that_was_left_is_refused_from_a_hub_too(bench: Bench) -> None:
    bench.send_on(raw(0))
    bench.send_on(raw(0, epoch=2))
    assert (bench.receiver.refuses(1), bench.receiver.refuses(2), bench.receiver.refuses(3)) == (
        True, False, False,
    )  # fmt: skip
    bench.now_ns += 2 * SECOND
    assert not bench.receiver.refuses(1), "it may be the one that goes on"


# What the subscriber tells -------------------------------------------------------------------------------


def test_whoever_connects_asks_for_a_keyframe_and_a_viewer_of_a_hub_does_not(bench: Bench) -> None:
    bench.receiver.on_connected()
    bench.receiver.pause()
    bench.receiver.on_connected()
    assert bench.asked == [Reason.JOIN]
    assert bench.stats.connected


def test_a_lost_connection_is_counted_and_an_end_is_none(bench: Bench) -> None:
    for tell in (bench.receiver.on_connected, bench.receiver.on_disconnected, bench.receiver.on_connected):
        tell()
    assert (bench.stats.reconnects, bench.stats.connected) == (1, True)
    bench.mailbox.close()
    bench.receiver.on_disconnected()
    assert bench.stats.reconnects == 1


def test_every_second_is_reported(bench: Bench) -> None:
    bench.send_on(raw(0, epoch=9))
    bench.send_on(raw(2, epoch=9), age_ms=600)
    for _ in range(2):
        bench.receiver.on_tick()
    report, again = bench.reports
    assert report == again
    assert (report.stream, report.name, report.epoch, report.highest_seq) == ("cam", "desk", 9, 2)
    assert (report.received, report.lost, report.presented, report.late) == (2, 1, 0, 1)
    assert (report.age_p50_ms, report.age_p99_ms, report.playout_skew_ms) == (-1, -1, 0), "nothing shown"


def test_it_asks_for_the_time_and_takes_the_answer(bench: Bench) -> None:
    bench.send_on(raw(0))
    (question,) = [message for message in bench.sent if isinstance(message, ClockRequest)]
    assert (question.stream, question.name, question.asked_ns) == ("cam", "desk", bench.monotonic_ns())
    told_ns = bench.now_ns + 60 * SECOND
    bench.receiver.on_clock(
        ClockReply(
            stream="cam", name="desk", asked_ns=question.asked_ns, received_ns=told_ns, replied_ns=told_ns
        )
    )
    assert bench.clock.now_ns() == bench.now_ns + 60 * SECOND
    assert bench.send_on(raw(1), age_ms=501) is None
    assert bench.send_on(raw(2), age_ms=499) is not None


def test_a_machine_that_is_too_slow_is_told_once_with_what_would_help(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    seq = 0
    for _ in range(12):
        for _ in range(5):
            bench.receive(raw(seq))
            bench.receive(raw(seq + 1))
            bench.mailbox.take(0)
            overtaken = bench.dropped.pop().frame
            bench.account.dropped(overtaken.header, overtaken.received_ns, Event.SUPERSEDED)
            seq += 2
        bench.account.meters.decoding.observe(0.9)
        bench.now_ns += SECOND - 10 * (SECOND // 30)
        bench.receiver.on_tick()
    (line,) = [record.getMessage() for record in caplog.records if "too slow" in record.getMessage()]
    assert "5 of 10 frames per second" in line
    assert "--sink share" in line
    assert "--delay" in line
