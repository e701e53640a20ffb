from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

from fanlight.common.codec import encoder
from fanlight.common.codec.base import Encoder
from fanlight.common.model.control import KeyframeRequest, Reason, ReceiverReport
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.freshness import Decision, FreshnessPolicy
from fanlight.consumer import playout as playouts
from fanlight.consumer.playout import Arrived
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ConsumerStats, Event
from tests.unit.consumer.build import MS, SECOND, Receiving, encoded

NOW = 1_700_000_000 * SECOND
MAX_AGE_S = 0.5
PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


class Bench(Receiving):
    """A receiver, its clocks, and what came out of it. Nothing waits: what arrives is taken at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = NOW
        for module in ("receiver", "producer_clock", "account"):
            monkeypatch.setattr(f"fanlight.consumer.{module}.monotonic_ns", self.monotonic_ns)
        monkeypatch.setattr("fanlight.consumer.producer_clock.wall_ns", lambda: self.now_ns)
        self.referred_to: list[int] = []
        super().__init__(ConsumerSettings(stream="cam", name="desk", max_age_s=MAX_AGE_S))

    def monotonic_ns(self) -> int:
        return self.now_ns - NOW + SECOND

    def receive(self, frame: EncodedFrame, *, age_ms: int = 10) -> None:
        """Let a frame arrive a thirtieth of a second after the one before."""
        self.now_ns += SECOND // 30
        header = frame.header._replace(capture_ns=self.clock.now_ns() - age_ms * MS)
        self.receiver.on_frame(EncodedFrame(header, frame.body), self.now_ns)

    def send_on(self, frame: EncodedFrame, *, age_ms: int = 10) -> Arrived | None:
        """Likewise, and what is to be shown then."""
        self.receive(frame, age_ms=age_ms)
        turn = self.mailbox.take(0)
        self.referred_to += [old.header.seq for old in turn.decode]
        return turn.frame

    @property
    def asked(self) -> list[Reason]:
        return [message.reason for message in self.sent if isinstance(message, KeyframeRequest)]

    @property
    def reports(self) -> list[ReceiverReport]:
        return [message for message in self.sent if isinstance(message, ReceiverReport)]

    @property
    def stats(self) -> ConsumerStats:
        return self.account.stats()

    @property
    def events(self) -> list[tuple[int, Event]]:
        assert all(outcome.presented_ns is None for outcome in self.outcomes)
        return self.fates


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


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
        shown = bench.send_on(raw(seq))
        assert shown is not None
        assert (shown.header.seq, shown.received_ns, shown.lost_before) == (seq, bench.now_ns, 0)
        assert shown.frame.body == PICTURE.tobytes(), "as it came: still encoded"
    assert (bench.outcomes, bench.asked, bench.encoded) == ([], [], [0, 1, 2])
    assert (bench.stats.received, bench.stats.received_bytes) == (3, 3 * PICTURE.nbytes)


def test_only_the_first_frame_and_those_after_a_gap_reset_the_decoder(bench: Bench) -> None:
    frames = film(6, keys=(0, 2, 4))
    shown = [bench.send_on(one) for one in (*frames[:3], *frames[4:])]
    assert [one and one.reset for one in shown] == [True, False, False, True, False]


def test_the_age_of_a_frame_is_told_by_the_clock_that_stamped_it(bench: Bench) -> None:
    """Not by the time of its arrival, which is this host's."""
    header = raw(0).header._replace(capture_ns=bench.now_ns - 10 * MS)
    bench.receiver.on_frame(EncodedFrame(header, PICTURE.tobytes()), bench.now_ns + 60 * SECOND)
    assert bench.mailbox.take(0).frame is not None
    assert bench.outcomes == []


def test_an_old_frame_that_stands_alone_is_dropped(bench: Bench) -> None:
    assert bench.send_on(raw(0), age_ms=501) is None
    assert bench.events == [(0, Event.LATE)]
    assert bench.encoded == [0], "whoever keeps the stream as it came wants it all the same"
    assert bench.send_on(raw(1), age_ms=500) is not None


def test_an_old_frame_that_others_refer_to_is_decoded_and_not_shown(bench: Bench) -> None:
    frames = film(3)
    assert bench.send_on(frames[0], age_ms=800) is None
    assert bench.send_on(frames[1], age_ms=600) is None
    assert bench.send_on(frames[2]) is not None
    assert bench.referred_to == [0, 1]
    assert bench.events == [(0, Event.LATE), (1, Event.LATE)]
    assert bench.dropped == [], "each has one fate"
    assert (bench.stats.late, bench.encoded, bench.asked) == (2, [0, 1, 2], [])


def test_a_gap_is_counted_and_a_keyframe_asked_for_once(bench: Bench) -> None:
    frames = film(10, keys=(0, 8))
    assert bench.send_on(frames[0]) is not None
    for late in frames[4:8]:
        assert bench.send_on(late) is None
    shown = bench.send_on(frames[8])
    assert shown is not None
    assert shown.lost_before == 3
    assert bench.send_on(frames[9]) is not None
    assert bench.asked == [Reason.GAP]
    assert bench.events == [(n, Event.AWAITING_KEY) for n in (4, 5, 6, 7)]
    assert (bench.stats.lost, bench.stats.awaiting_key, bench.encoded) == (3, 4, [0, 8, 9])


def test_joining_asks_and_the_wait_after_it_does_not_ask_again(bench: Bench) -> None:
    bench.receiver.on_following()
    for late in film(10)[1:]:
        bench.send_on(late)
    assert bench.asked == [Reason.JOIN]


def test_repeated_frames_are_dropped(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for seq in (0, 1, 1, 0):
        bench.send_on(raw(seq))
    assert bench.events == [(1, Event.SUPERSEDED), (0, Event.SUPERSEDED)]
    assert (bench.stats.repeated, bench.stats.superseded) == (2, 0)
    assert caplog.messages == ["frame 1 of epoch 1 came out of order: is there a second producer?"]


def test_who_joins_anew_may_get_what_it_has_had_and_says_nothing_of_it(
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
    assert (stats.received, stats.repeated, stats.lost) == (6, 0, 0)
    assert not caplog.text
    bench.receiver.on_frame(frames[2], 0)
    assert bench.stats.repeated == 1, "afterwards it is somebody else's"


def test_decode_errors_told_by_many_threads_at_once_ask_once(bench: Bench) -> None:
    together = threading.Barrier(8)

    def tell() -> None:
        together.wait(10)
        bench.receiver.broken(Reason.DECODE_ERROR)

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert bench.asked == [Reason.DECODE_ERROR]


def test_the_policy_is_asked_by_one_thread_at_a_time(bench: Bench) -> None:
    locked: list[bool] = []

    class Watched(FreshnessPolicy):
        def offer(self, header: FrameHeader, *, age_ns: int, now_ns: int) -> Decision:
            locked.append(bench.receiver._judging.locked())
            return super().offer(header, age_ns=age_ns, now_ns=now_ns)

        def broken(self, now_ns: int) -> bool:
            locked.append(bench.receiver._judging.locked())
            return super().broken(now_ns)

    bench.receiver._policy = Watched(int(MAX_AGE_S * 1e9))
    bench.receive(raw(0))
    bench.receiver.broken(Reason.DECODE_ERROR)
    assert locked == [True, True]


def test_a_mailbox_that_had_to_give_up_references_asks_for_a_keyframe(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playouts, "_LONGEST_CHAIN", 3)
    frames = film(9, keys=(0, 7))
    for one in frames[:6]:
        bench.receive(one)
    assert bench.asked == [Reason.GAP]
    assert bench.send_on(frames[6]) is None
    fates = [(old.frame.header.seq, old.event) for old in bench.dropped]
    assert fates == [*((n, Event.SUPERSEDED) for n in range(3)), (3, Event.AWAITING_KEY)]
    assert bench.events == [(n, Event.AWAITING_KEY) for n in (4, 5, 6)]
    shown = [bench.send_on(good) for good in frames[7:]]
    assert [one and one.reset for one in shown] == [True, False]
    assert bench.referred_to == []
    assert bench.asked == [Reason.GAP]


def test_malformed_messages_are_counted_and_told_once_a_second(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    error = WireFormatError("v", 2, "1")
    for _ in range(3):
        bench.receiver.on_malformed(error)
    assert caplog.messages == ["message refused: v is 2: allowed is 1"]
    bench.now_ns += 10 * SECOND
    bench.receiver.on_malformed(error)
    assert caplog.messages[1:] == ["message refused: v is 2: allowed is 1 (and 2 more like it)"]
    assert (bench.stats.malformed, bench.stats.received, bench.outcomes) == (4, 0, [])
