"""The way as the stream itself: a real mailbox, a real decoder, and frames that a receiver has accepted."""

from __future__ import annotations

import numpy as np

from fanlight.common.clock import wall_ns
from fanlight.common.codec import encoder
from fanlight.common.model.control import KeyframeRequest, Reason
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.pixels import Form, PixelFormat
from fanlight.consumer.playout import SyncPlayout
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import Event
from fanlight.consumer.stream_way import StreamWay
from tests.unit.common.codec.build import gradient, psnr
from tests.unit.consumer.build import MS, SECOND, Receiving, Screen, encoded

PICTURE = gradient(64, 48)


class Bench(Receiving):
    """The receiving half, and the way that takes its frames."""

    def __init__(self, *, delay_ms: int | None = None, form: Form | None = None) -> None:
        playout = None if delay_ms is None else SyncPlayout(delay_ms * MS, 500 * MS)
        super().__init__(ConsumerSettings(), playout)
        self.screen = Screen()
        self.way = StreamWay(
            form or Form(), self.mailbox, self.receiver, self.clock, self.account, self.screen
        )

    def arrive(self, *frames: EncodedFrame, age_ms: int = 0) -> None:
        for frame in frames:
            now_ns = wall_ns()
            header = frame.header._replace(capture_ns=now_ns - age_ms * MS)
            self.receiver.on_frame(EncodedFrame(header, frame.body), now_ns)

    def take(self, timeout_s: float = 0) -> int | None:
        frame = self.way.take(timeout_s)
        return None if frame is None else frame.seq

    @property
    def asked(self) -> list[Reason]:
        return [message.reason for message in self.sent if isinstance(message, KeyframeRequest)]


def film(count: int) -> list[EncodedFrame]:
    coder = encoder(Codec.H264, fps=1000, gop_s=10)
    coded = [coder.encode(np.roll(PICTURE, 4 * seq, 1), key=seq == 0) for seq in range(count)]
    return [encoded(Codec.H264, seq, one.body, key=one.key) for seq, one in enumerate(coded)]


def test_the_newest_frame_is_decoded_with_all_that_it_refers_to() -> None:
    bench = Bench()
    bench.arrive(*film(4))
    before = bench.way.empty
    frame = bench.way.take(0)
    assert frame is not None
    assert frame.seq == 3
    assert psnr(frame.image, np.roll(PICTURE, 12, 1)) > 28
    assert (before, bench.way.empty) == (False, True)
    assert bench.take() is None


def test_pictures_have_the_form_that_was_asked_for() -> None:
    bench = Bench(form=Form(PixelFormat.GREY, (32, 24)))
    bench.arrive(*film(1))
    bench.take()
    assert bench.screen.frames[0].image.shape == (24, 32)


def test_what_is_handed_on_is_by_this_hosts_clock() -> None:
    bench = Bench()
    bench.arrive(encoded(Codec.RAW, 0, PICTURE.tobytes()))
    bench.arrive(encoded(Codec.RAW, 5, PICTURE.tobytes()))
    assert bench.take() == 5
    (frame,), (captured_ns,) = bench.screen.frames, bench.screen.captured_ns
    assert abs(captured_ns + bench.clock.offset_ns() - frame.capture_ns) < 10 * MS
    assert (frame.lost, bench.screen.due_ns) == (4, [None])


def test_under_sync_frames_are_prepared_and_shown_when_they_are_due() -> None:
    bench = Bench(delay_ms=60)
    bench.arrive(*film(2))
    while bench.take(1) is None:
        assert not bench.way.empty
    (frame,), (due_ns,) = bench.screen.frames, bench.screen.due_ns
    assert due_ns is not None
    offset_ns = bench.clock.offset_ns()
    assert abs(due_ns + offset_ns - (frame.capture_ns + 60 * MS)) < 10 * MS
    assert wall_ns() >= frame.capture_ns + 60 * MS


def test_a_frame_that_cannot_be_decoded_is_counted_and_a_keyframe_asked_for() -> None:
    bench = Bench()
    bench.arrive(encoded(Codec.H264, 0, b"nonsense"))
    assert bench.take() is None
    assert bench.fates == [(0, Event.UNDECODABLE)]
    assert bench.asked == [Reason.DECODE_ERROR]
    bench.arrive(*film(3)[1:])
    assert bench.take() is None
    assert bench.fates[1:] == [(1, Event.AWAITING_KEY), (2, Event.AWAITING_KEY)]


def test_a_frame_from_the_future_is_not_believed() -> None:
    """The producer's clock was set, and nobody knows yet how old its frames are."""
    bench = Bench()
    bench.arrive(encoded(Codec.RAW, 0, PICTURE.tobytes()))
    bench.take()
    bench.arrive(encoded(Codec.RAW, 1, PICTURE.tobytes()), age_ms=-3600 * SECOND // MS)
    assert bench.take() is None
    assert bench.fates == [(1, Event.LATE)]


def test_without_its_decoder_it_goes_on_with_a_keyframe() -> None:
    bench = Bench()
    bench.arrive(*film(2))
    assert bench.take() == 1
    bench.way.rest()
    bench.receiver.resume((1, 1))
    bench.arrive(film(3)[2])
    assert bench.take() is None
    again = film(1)[0]
    bench.arrive(EncodedFrame(again.header._replace(seq=3), again.body))
    assert bench.take() == 3
