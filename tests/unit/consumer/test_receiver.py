from __future__ import annotations

import numpy as np
import pytest

from fanlight.common.codec import encoder
from fanlight.common.codec.base import Encoder
from fanlight.common.model.bye import Bye
from fanlight.common.model.control import ClockReply, ClockRequest, Reason, ReceiverReport
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.freshness import Decision, FreshnessPolicy
from fanlight.consumer import playout as playouts
from fanlight.consumer.playout import ReceivedFrame
from fanlight.consumer.stats import Outcome
from tests.unit.consumer.build import MS, SECOND, Receiving, encoded

PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


class Bench(Receiving):
    """Nothing waits: a frame that arrives is taken at once."""

    def __init__(self) -> None:
        super().__init__()
        self.referred_to: list[int] = []

    def pass_on(self, frame: EncodedFrame, *, age_ms: int = 10) -> ReceivedFrame | None:
        """Let a frame arrive; what is to be shown then."""
        self.receive(frame, age_ms=age_ms)
        step = self.mailbox.take(0)
        self.referred_to += [old.header.seq for old in step.decode]
        return step.frame


@pytest.fixture
def bench() -> Bench:
    return Bench()


def raw(seq: int, *, epoch: int = 1) -> EncodedFrame:
    return encoded(Codec.RAW, seq, PICTURE.tobytes(), epoch=epoch)


def film(count: int, *, keys: tuple[int, ...] = (0,), epoch: int = 1) -> list[EncodedFrame]:
    coder: Encoder = encoder(Codec.H264, fps=1000, gop_s=10)
    frames = []
    for seq in range(count):
        coded = coder.encode(np.roll(PICTURE, seq, 1), key=seq in keys)
        frames.append(encoded(Codec.H264, seq, coded.body, key=coded.key, epoch=epoch))
    return frames


def test_a_frame_in_order_is_to_be_shown(bench: Bench) -> None:
    for seq in range(3):
        shown = bench.pass_on(raw(seq))
        assert shown is not None
        assert (shown.header.seq, shown.received_ns, shown.lost_before) == (seq, bench.host.wall_ns(), 0)
        assert shown.frame.body == PICTURE.tobytes(), "as it came: still encoded"
    assert (bench.rows, bench.requested, bench.encoded) == ([], [], [0, 1, 2])
    assert (bench.stats.received, bench.stats.received_bytes) == (3, 3 * PICTURE.nbytes)


def test_the_age_of_a_frame_is_by_the_clock_that_stamped_it(bench: Bench) -> None:
    """Not by the time of its arrival, which is this host's."""
    header = raw(0).header._replace(capture_ns=bench.host.wall_ns() - 10 * MS)
    bench.receiver.on_frame(EncodedFrame(header, PICTURE.tobytes()), bench.host.wall_ns() + 60 * SECOND)
    assert bench.mailbox.take(0).frame is not None
    assert bench.rows == []


def test_an_old_frame_that_stands_alone_is_dropped(bench: Bench) -> None:
    assert bench.pass_on(raw(0), age_ms=501) is None
    assert bench.outcomes == [(0, Outcome.LATE)]
    assert bench.encoded == [0], "a recording needs it all the same"
    assert bench.pass_on(raw(1), age_ms=500) is not None


def test_an_old_frame_that_others_refer_to_is_decoded_and_not_shown(bench: Bench) -> None:
    frames = film(3)
    assert bench.pass_on(frames[0], age_ms=800) is None
    assert bench.pass_on(frames[1], age_ms=600) is None
    assert bench.pass_on(frames[2]) is not None
    assert bench.referred_to == [0, 1]
    assert bench.outcomes == [(0, Outcome.LATE), (1, Outcome.LATE)]
    assert bench.dropped == [], "each has one outcome"
    assert (bench.stats.late, bench.encoded, bench.requested) == (2, [0, 1, 2], [])


def test_a_gap_is_counted_and_a_keyframe_asked_for_once(bench: Bench) -> None:
    frames = film(10, keys=(0, 8))
    assert bench.pass_on(frames[0]) is not None
    for late in frames[4:8]:
        assert bench.pass_on(late) is None
    shown = bench.pass_on(frames[8])
    assert shown is not None
    assert shown.lost_before == 3
    assert bench.pass_on(frames[9]) is not None
    assert bench.requested == [Reason.GAP]
    assert bench.outcomes == [(n, Outcome.AWAITING_KEY) for n in (4, 5, 6, 7)]
    assert (bench.stats.lost, bench.stats.awaiting_key, bench.encoded) == (3, 4, [0, 8, 9])


def test_duplicate_frames_are_dropped(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for seq in (0, 1, 1, 0):
        bench.pass_on(raw(seq))
    assert bench.outcomes == [(1, Outcome.SUPERSEDED), (0, Outcome.SUPERSEDED)]
    assert (bench.stats.duplicate, bench.stats.superseded) == (2, 0)
    assert caplog.messages == ["a frame of stream cam came again, or out of order"]


def test_a_second_producer_is_named_as_such(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for epoch, seq in ((1, 0), (2, 0), (1, 1), (2, 1), (1, 2)):
        bench.pass_on(raw(seq, epoch=epoch))
    (line,) = caplog.messages
    assert line.startswith("another producer publishes stream cam, too: ")
    assert "another --stream" in line


def test_frames_that_come_again_after_a_new_connection_are_no_duplicates(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a broker the frames since the last keyframe come first."""
    frames = film(6)
    for one in frames[:4]:
        bench.receiver.on_frame(one, 0)
    bench.receiver.on_following()
    for one in frames:
        bench.receiver.on_frame(one, 0)
    stats = bench.stats
    assert (stats.received, stats.duplicate, stats.lost) == (6, 0, 0)
    assert not caplog.text
    bench.receiver.on_frame(frames[2], 0)
    assert bench.stats.duplicate == 1, "afterwards it is one"


def test_the_policy_is_used_by_one_thread_at_a_time(bench: Bench) -> None:
    """Frames are judged in the receiving thread, and decode errors reported by the presenting one."""
    admission, locked = bench.receiver.admission, []

    class Watched(FreshnessPolicy):
        def offer(self, header: FrameHeader, *, age_ns: int, now_ns: int) -> Decision:
            locked.append(admission._lock.locked())
            return super().offer(header, age_ns=age_ns, now_ns=now_ns)

        def broken(self, now_ns: int) -> bool:
            locked.append(admission._lock.locked())
            return super().broken(now_ns)

    admission._policy = Watched(500 * MS)
    bench.receive(raw(0))
    for _ in range(8):
        bench.receiver.broken(Reason.DECODE_ERROR)
    assert locked == [True] * 9
    assert bench.requested == [Reason.DECODE_ERROR], "once a second"


def test_a_mailbox_that_had_to_give_up_references_asks_for_a_keyframe(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playouts, "LONGEST_CHAIN", 3)
    frames = film(9, keys=(0, 7))
    for one in frames[:6]:
        bench.receive(one)
    assert bench.requested == [Reason.GAP]
    assert bench.pass_on(frames[6]) is None
    dropped = [(old.frame.header.seq, old.outcome) for old in bench.dropped]
    assert dropped == [*((n, Outcome.SUPERSEDED) for n in range(3)), (3, Outcome.AWAITING_KEY)]
    assert bench.outcomes == [(n, Outcome.AWAITING_KEY) for n in (4, 5, 6)]
    shown = [bench.pass_on(good) for good in frames[7:]]
    assert [one and one.reset for one in shown] == [True, False]
    assert bench.referred_to == []
    assert bench.requested == [Reason.GAP]


def test_malformed_messages_are_counted_and_logged_once_a_second(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    error = WireFormatError("v", 2, "1")
    for _ in range(3):
        bench.receiver.on_malformed(error)
    assert caplog.messages == ["message refused: v is 2: allowed is 1"]
    bench.host.now_ns += 10 * SECOND
    bench.receiver.on_malformed(error)
    assert caplog.messages[1:] == ["message refused: v is 2: allowed is 1 (and 2 more like it)"]
    assert (bench.stats.malformed, bench.stats.received, bench.rows) == (4, 0, [])


# Frames from a hub -------------------------------------------------------------------------------------


def test_while_a_hub_serves_frames_of_the_stream_count_for_nothing(bench: Bench) -> None:
    bench.pass_on(raw(3))
    assert bench.receiver.admission.pause() == (1, 3)
    assert bench.pass_on(raw(4)) is None
    assert (bench.stats.received, bench.encoded, bench.rows) == (1, [3], [])
    assert bench.receiver.admission.pause() == (1, 3)


def test_after_a_hub_the_stream_goes_on_with_a_keyframe_that_is_newer(bench: Bench) -> None:
    frames = film(12, keys=(0, 6, 10))
    bench.pass_on(frames[0])
    bench.receiver.admission.pause()
    bench.receiver.admission.resume((1, 6), bench.host.now_ns)
    assert bench.receiver.admission.pause() == (1, 6)
    bench.receiver.admission.resume((1, 6), bench.host.now_ns)
    bench.receiver.on_following()
    shown = [bench.pass_on(one) for one in frames[5:]]
    assert [one and one.header.seq for one in shown] == [None] * 5 + [10, 11]
    reset, after = shown[5:]
    assert reset is not None
    assert after is not None
    assert (reset.reset, after.reset) == (True, False)
    assert (bench.stats.lost, bench.stats.duplicate, bench.requested) == (0, 0, [Reason.JOIN])


def test_frames_that_came_from_neither_source_are_lost(bench: Bench) -> None:
    bench.pass_on(raw(0))
    bench.receiver.admission.pause()
    bench.receiver.admission.resume((1, 4), bench.host.now_ns)
    shown = bench.pass_on(raw(7))
    assert shown is not None
    assert (shown.lost_before, bench.stats.lost) == (2, 2)


def test_a_producer_that_was_left_is_refused_from_a_hub_too(bench: Bench) -> None:
    bench.pass_on(raw(0))
    bench.pass_on(raw(0, epoch=2))
    admission, now_ns = bench.receiver.admission, bench.host.now_ns
    assert [admission.refuses(epoch, now_ns) for epoch in (1, 2, 3)] == [True, False, False]
    assert not admission.refuses(1, now_ns + 2 * SECOND), "it may be the one that goes on"


# Other events ------------------------------------------------------------------------------------------


def test_a_connection_requests_a_keyframe_unless_a_hub_serves(bench: Bench) -> None:
    bench.receiver.on_connected()
    bench.receiver.on_disconnected()
    bench.receiver.admission.pause()
    bench.receiver.on_connected()
    assert bench.requested == [Reason.JOIN]
    assert (bench.stats.reconnects, bench.stats.connected) == (1, True)
    bench.mailbox.close()
    bench.receiver.on_disconnected()
    assert bench.stats.reconnects == 1, "the end of a consumer is no lost connection"


def test_every_second_is_reported(bench: Bench) -> None:
    bench.pass_on(raw(0, epoch=9 << 32 | 5))
    bench.pass_on(raw(2, epoch=9 << 32 | 5), age_ms=600)
    for _ in range(2):
        bench.receiver.on_tick()
    report, again = [message for message in bench.sent if isinstance(message, ReceiverReport)]
    assert report == again
    assert (report.stream, report.name, report.epoch, report.highest_seq) == ("cam", "c1", 9, 2)
    assert (report.received, report.lost, report.presented, report.late) == (2, 1, 0, 1)
    assert (report.age_p50_ms, report.age_p99_ms, report.playout_skew_ms) == (-1, -1, 0), "nothing shown"


def test_it_asks_for_the_time_and_takes_the_answer(bench: Bench) -> None:
    bench.pass_on(raw(0))
    (question,) = [message for message in bench.sent if isinstance(message, ClockRequest)]
    assert (question.stream, question.name, question.asked_ns) == ("cam", "c1", bench.host.now_ns)
    answered_ns = bench.host.wall_ns() + 60 * SECOND
    bench.receiver.on_clock(
        ClockReply(
            stream="cam",
            name="c1",
            asked_ns=question.asked_ns,
            received_ns=answered_ns,
            replied_ns=answered_ns,
        )
    )
    assert bench.clock.now_ns() == bench.host.wall_ns() + 60 * SECOND
    assert bench.pass_on(raw(1), age_ms=501) is None
    assert bench.pass_on(raw(2), age_ms=499) is not None


def test_a_machine_that_is_too_slow_is_reported_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    seq = 0
    for _ in range(12):
        for _ in range(5):
            bench.receive(raw(seq))
            bench.receive(raw(seq + 1))
            bench.mailbox.take(0)
            overtaken = bench.dropped.pop().frame
            bench.counters.dropped(overtaken.header, overtaken.received_ns, Outcome.SUPERSEDED)
            seq += 2
        bench.counters.decoding.observe(0.9)
        bench.host.now_ns += SECOND - 10 * (SECOND // 30)
        bench.receiver.on_tick()
    (line,) = [record.getMessage() for record in caplog.records if "too slow" in record.getMessage()]
    assert "5 of 10 frames per second" in line
    assert "--sink share" in line
    assert "--delay" in line


# The end of the stream -----------------------------------------------------------------------------------


def over(bench: Bench) -> bool:
    return bench.receiver.admission.ended


def test_the_end_interrupts_the_wait_and_counts_what_was_lost_before_it(bench: Bench) -> None:
    bench.pass_on(raw(0))
    for _ in range(2):
        bench.receiver.on_ended(Bye("cam", 1, 2))
    assert bench.stats.lost == 2, "counted once"
    assert over(bench)
    assert bench.ended == 1
    assert bench.stats.producer_away_s == 0
    bench.host.now_ns += SECOND
    assert bench.stats.producer_away_s == 1
    bench.pass_on(raw(0, epoch=2))
    assert not over(bench)
    assert bench.stats.producer_away_s is None, "another producer is there"


def test_the_end_of_a_replaced_or_unknown_producer_changes_nothing(bench: Bench) -> None:
    bench.pass_on(raw(0, epoch=1))
    bench.pass_on(raw(0, epoch=2))
    for epoch in (1, 3):
        bench.receiver.on_ended(Bye("cam", epoch, 9))
    assert (bench.ended, bench.stats.lost, bench.stats.producer_away_s) == (0, 0, None)
    assert not over(bench)


def test_while_no_frame_comes_the_time_is_asked_for_at_each_tick(bench: Bench) -> None:
    bench.pass_on(raw(0))
    for _ in range(20):
        bench.receiver.on_tick()
    assert len([message for message in bench.sent if isinstance(message, ClockRequest)]) >= 19
