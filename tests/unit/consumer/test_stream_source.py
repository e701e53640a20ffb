"""Frames of the stream: the mailbox, a real decoder, and what it is made to do before frames are due."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from fanlight.common.codec import decoder, encoder
from fanlight.common.codec.base import Decoded, Decoder
from fanlight.common.model.control import Reason
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.histogram import CODEC_BOUNDS_S, Histogram
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, PixelFormat, Pixels, shape
from fanlight.consumer.playout import ReceivedFrame, SyncPlayout
from fanlight.consumer.stats import Outcome
from fanlight.consumer.stream_source import Decoding, StreamSource
from tests.support.headers import header
from tests.unit.common.codec.build import gradient, psnr
from tests.unit.consumer.build import MS, SECOND, Receiving, Screen, encoded

PICTURE = gradient(64, 48)


def received(
    codec: Codec, seq: int, body: bytes, *, key: bool = True, epoch: int = 1, reset: bool = False
) -> ReceivedFrame:
    return ReceivedFrame(EncodedFrame(header(seq, codec, epoch=epoch, key=key), body), 0, 0, reset)


def film(
    count: int, *, keys: tuple[int, ...] = (0,), codec: Codec = Codec.H264, epoch: int = 1
) -> list[ReceivedFrame]:
    coder = encoder(codec, fps=1000, gop_s=10)
    frames = []
    for seq in range(count):
        coded = coder.encode(np.roll(PICTURE, 4 * seq, 1), key=seq in keys)
        frames.append(received(codec, seq, coded.body, key=coded.key, epoch=epoch, reset=seq == 0))
    return frames


# The source ---------------------------------------------------------------------------------------------


class Bench(Receiving):
    """The receiving half, and the source that takes its frames."""

    def __init__(self, *, delay_ms: int | None = None) -> None:
        super().__init__(None if delay_ms is None else SyncPlayout(delay_ms * MS, 500 * MS))
        self.screen = Screen()
        self.source = StreamSource(FULL_BGR, self.mailbox, self.receiver, self.counters, self.screen)

    def take(self) -> int | None:
        frame = self.source.take(0)
        return None if frame is None else frame.seq


def test_the_newest_frame_is_decoded_with_all_that_it_refers_to() -> None:
    bench = Bench()
    bench.receive(*[one.frame for one in film(4)])
    before = bench.source.empty
    frame = bench.source.take(0)
    assert frame is not None
    assert frame.seq == 3
    assert psnr(frame.image, np.roll(PICTURE, 12, 1)) > 28
    assert (before, bench.source.empty) == (False, True)
    assert bench.take() is None


def test_frames_are_presented_by_the_clock_of_this_host() -> None:
    bench = Bench()
    bench.receive(*[encoded(Codec.RAW, seq, PICTURE.tobytes()) for seq in (0, 5)], age_ms=12)
    assert bench.take() == 5
    assert bench.screen.frames[0].lost == 4
    assert (bench.screen.captured_ns, bench.screen.due_ns) == ([bench.host.now_ns - 12 * MS], [None])


def test_under_sync_frames_are_prepared_and_presented_when_they_are_due() -> None:
    bench = Bench(delay_ms=60)
    bench.receive(*[one.frame for one in film(2)], age_ms=0, step_ns=0)
    due_ns = bench.host.now_ns + 60 * MS
    bench.host.now_ns = due_ns - 1
    assert bench.take() is None, "prepared"
    assert not bench.source.empty
    bench.host.now_ns = due_ns
    assert bench.take() == 1
    assert bench.screen.due_ns == [due_ns]


def test_an_undecodable_frame_is_counted_and_a_keyframe_requested() -> None:
    bench = Bench()
    bench.receive(encoded(Codec.H264, 0, b"nonsense"))
    assert bench.take() is None
    assert bench.outcomes == [(0, Outcome.UNDECODABLE)]
    assert bench.requested == [Reason.DECODE_ERROR]
    bench.receive(*[one.frame for one in film(3)[1:]])
    assert bench.take() is None
    assert bench.outcomes[1:] == [(1, Outcome.AWAITING_KEY), (2, Outcome.AWAITING_KEY)]


class ProgramError(Exception):
    pass


def test_after_an_exception_amid_a_frame_the_next_keyframe_is_shown_and_all_is_counted() -> None:
    bench = Bench()
    frames = film(6, keys=(0, 4))
    bench.receive(*[one.frame for one in frames[:2]])
    bench.screen.failure = ProgramError()
    with pytest.raises(ProgramError):
        bench.take()
    bench.source.restart()
    assert bench.outcomes == [(1, Outcome.AWAITING_KEY)]
    assert bench.requested == [Reason.DECODE_ERROR]
    bench.receive(*[one.frame for one in frames[2:4]])
    assert bench.take() is None
    assert bench.outcomes[1:] == [(2, Outcome.AWAITING_KEY), (3, Outcome.AWAITING_KEY)]
    bench.receive(*[one.frame for one in frames[4:]])
    frame = bench.source.take(0)
    assert frame is not None
    assert psnr(frame.image, np.roll(PICTURE, 20, 1)) > 28
    bench.source.restart()
    assert len(bench.outcomes) == 3, "the frame that was presented is not counted again"


def test_a_frame_from_the_future_is_not_presented() -> None:
    """The producer's clock was set, and nobody knows yet how old its frames are."""
    bench = Bench()
    bench.receive(encoded(Codec.RAW, 0, PICTURE.tobytes()))
    bench.take()
    bench.receive(encoded(Codec.RAW, 1, PICTURE.tobytes()), age_ms=-3600 * SECOND // MS)
    assert bench.take() is None
    assert bench.outcomes == [(1, Outcome.LATE)]


# Decoding -----------------------------------------------------------------------------------------------


def broken(seq: int, *, codec: Codec = Codec.H264, key: bool = False) -> ReceivedFrame:
    return received(codec, seq, b"\0\0\0\1\x41nonsense", key=key or codec.intra_only)


def straight(frames: list[ReceivedFrame]) -> list[Pixels]:
    """The pixels of all, by a decoder alone."""
    one = decoder(frames[0].header.codec)
    return [one.decode(frame.frame).pixels() for frame in frames]


@dataclass
class Log:
    """The calls of the decoders, and of `on_broken`."""

    calls: list[str] = field(default_factory=list)
    broken: int = 0

    @property
    def decoded(self) -> list[int]:
        return [int(call) for call in self.calls if call.isdigit()]

    def on_broken(self) -> None:
        self.broken += 1

    def decoder(self, codec: Codec) -> Decoder:
        self.calls.append(codec)
        return LoggedDecoder(self, decoder(codec))


class LoggedDecoder:
    def __init__(self, log: Log, decoder: Decoder) -> None:
        self._log = log
        self._decoder = decoder

    def decode(self, frame: EncodedFrame) -> Decoded:
        self._log.calls.append(str(frame.header.seq))
        return self._decoder.decode(frame)

    def reset(self) -> None:
        self._log.calls.append("reset")
        self._decoder.reset()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def decoding(log: Log) -> Decoding:
    return Decoding(FULL_BGR, log.on_broken, Histogram(CODEC_BOUNDS_S), log.decoder)


def same(image: Pixels | Outcome, expected: Pixels) -> bool:
    return isinstance(image, np.ndarray) and np.array_equal(image, expected)


@pytest.mark.parametrize("early", [None, "prepare", "decode_ahead"])
@pytest.mark.parametrize(
    "picture_format", [FULL_BGR, PictureFormat(PixelFormat.GREY), PictureFormat(PixelFormat.I420, (32, 24))]
)
@pytest.mark.parametrize("codec", Codec)
def test_pictures_have_the_form_that_is_wanted_and_are_read_only(
    codec: Codec, picture_format: PictureFormat, early: str | None
) -> None:
    """As those that a hub shares are: a program must not work with one source and fail with the other."""
    times = Histogram(CODEC_BOUNDS_S)
    decoding = Decoding(picture_format, Log().on_broken, times)
    (frame,) = film(1, codec=codec)
    if early:
        getattr(decoding, early)(frame)
    image = decoding.pixels(frame)
    assert isinstance(image, np.ndarray)
    assert image.shape == shape(picture_format.pixel_format, *picture_format.sized(64, 48))
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 0
    assert sum(times.snapshot().counts) == 1


def test_the_codec_may_change_with_the_producer(decoding: Decoding, log: Log) -> None:
    for epoch, codec in enumerate((Codec.H264, Codec.RAW, Codec.H264)):
        frames = film(1, codec=codec, epoch=epoch)
        assert same(decoding.pixels(frames[0]), straight(frames)[0])
    assert log.calls == ["h264", "0", "raw", "0", "h264", "0"]


# Frames that are not shown -----------------------------------------------------------------------------


@pytest.mark.parametrize("codec", Codec)
def test_skipped_frames_are_decoded_if_later_ones_refer_to_them(
    decoding: Decoding, log: Log, codec: Codec
) -> None:
    frames = film(4, codec=codec)
    for frame in frames[:3]:
        decoding.skip(frame)
    assert same(decoding.pixels(frames[3]), straight(frames)[3])
    assert log.decoded == ([3] if codec.intra_only else [0, 1, 2, 3])


def test_the_decoder_is_reset_only_before_a_frame_that_needs_it(decoding: Decoding, log: Log) -> None:
    first, second = film(2, keys=(0, 1)), film(2, epoch=2)
    for frame in (*first, *second):
        assert isinstance(decoding.pixels(frame), np.ndarray)
    decoding.skip(film(1, epoch=3)[0])
    decoding.decode_ahead(film(1, epoch=4)[0])
    decoding.prepare(film(1, epoch=5)[0])
    assert log.calls == ["h264", "0", "1", "reset", "0", "1", *["reset", "0"] * 3]


# Before a frame is due ---------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", Codec)
def test_work_before_it_is_due_does_not_change_a_frame(decoding: Decoding, log: Log, codec: Codec) -> None:
    frames = film(8, codec=codec)
    expected = straight(frames)
    begun = 0
    for n, frame in enumerate(frames):
        decoding.prepare(frame)
        begun = max(begun, n + 1)
        while begun < min(len(frames), n + 4):
            decoding.decode_ahead(frames[begun])
            begun += 1
        assert same(decoding.pixels(frame), expected[n])
    assert log.decoded == list(range(8)), "each once"


@pytest.mark.parametrize("codec", Codec)
def test_a_frame_prepared_or_decoded_ahead_is_not_decoded_twice(
    decoding: Decoding, log: Log, codec: Codec
) -> None:
    frames = film(4, codec=codec)
    decoding.prepare(frames[0])
    for frame in frames[1:3]:
        decoding.decode_ahead(frame)
    for frame in frames[:3]:
        decoding.skip(frame)
    assert same(decoding.pixels(frames[3]), straight(frames)[3])
    assert log.decoded == [0, 1, 2, 3]


def test_frames_decoded_ahead_and_given_up_are_released(decoding: Decoding, log: Log) -> None:
    """A keyframe or a producer that restarted made them superfluous."""
    old, new = film(4), film(2, epoch=2)
    for frame in old:
        decoding.decode_ahead(frame)
    decoding.prepare(new[0])
    assert not decoding._ahead
    assert all(same(decoding.pixels(frame), image) for frame, image in zip(new, straight(new), strict=True))
    assert log.calls == ["h264", "0", "1", "2", "3", "reset", "0", "1"]


def test_a_released_decoding_keeps_nothing_and_begins_anew_afterwards(decoding: Decoding, log: Log) -> None:
    before, after = film(3), film(2, epoch=2)
    assert isinstance(decoding.pixels(before[0]), np.ndarray)
    decoding.prepare(before[1])
    decoding.decode_ahead(before[2])
    decoding.release()
    assert (decoding._decoder, decoding._prepared, len(decoding._ahead)) == (None, None, 0)
    assert all(same(decoding.pixels(one), image) for one, image in zip(after, straight(after), strict=True))
    assert log.calls == ["h264", "0", "1", "2", "h264", "0", "1"]


# Damage ------------------------------------------------------------------------------------------------


def test_a_restarted_decoding_shows_nothing_before_the_next_keyframe(decoding: Decoding) -> None:
    frames = film(4, keys=(0, 3))
    assert not isinstance(decoding.pixels(frames[0]), Outcome)
    decoding.restart()
    assert [decoding.pixels(frame) for frame in frames[1:3]] == [Outcome.AWAITING_KEY] * 2
    assert same(decoding.pixels(frames[3]), straight(frames)[3])


def test_after_a_decode_error_nothing_is_shown_before_the_next_keyframe(
    decoding: Decoding, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    frames = film(6, keys=(0, 4))
    assert isinstance(decoding.pixels(frames[0]), np.ndarray)
    assert decoding.pixels(broken(1)) is Outcome.UNDECODABLE
    assert log.broken == 1
    assert [decoding.pixels(late) for late in frames[2:4]] == [Outcome.AWAITING_KEY] * 2
    assert log.decoded == [0, 1], "the others were not even tried"
    assert all(
        same(decoding.pixels(frame), image)
        for frame, image in zip(frames[4:], straight(frames)[4:], strict=True)
    )
    assert log.calls[-3:] == ["reset", "4", "5"]
    assert log.broken == 1
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("frame refused: h264 body ")


@pytest.mark.parametrize("early", ["skip", "prepare", "decode_ahead"])
def test_a_decode_error_of_a_frame_that_is_not_shown_yet_counts_as_well(
    decoding: Decoding, log: Log, early: str
) -> None:
    frames = film(5, keys=(0, 3))
    decoding.pixels(frames[0])
    damaged = broken(1)
    getattr(decoding, early)(damaged)
    assert log.broken == 1
    getattr(decoding, early)(frames[2])
    getattr(decoding, early)(frames[3])
    if early == "decode_ahead":
        assert [decoding.pixels(frame) for frame in (damaged, frames[2])] == [
            Outcome.UNDECODABLE,
            Outcome.AWAITING_KEY,
        ]
    if early == "skip":
        assert same(decoding.pixels(frames[4]), straight(frames)[4])
    else:
        assert same(decoding.pixels(frames[3]), straight(frames)[3])
    assert (log.decoded[:3], log.broken) == ([0, 1, 3], 1)


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.PNG])
def test_a_broken_frame_that_stands_alone_breaks_no_other(
    decoding: Decoding, log: Log, codec: Codec, caplog: pytest.LogCaptureFixture
) -> None:
    frames = film(2, codec=codec)
    assert decoding.pixels(broken(0, codec=codec)) is Outcome.UNDECODABLE
    assert same(decoding.pixels(frames[1]), straight(frames)[1])
    assert log.broken == 0
    assert len(caplog.messages) == 1


class Late:
    """A frame whose damage comes to light with its pixels."""

    def pixels(self, picture_format: PictureFormat = FULL_BGR) -> Pixels:
        raise DecodeError("h264 body does not convert")


class LateDecoder:
    def decode(self, _: EncodedFrame) -> Decoded:
        return Late()

    def reset(self) -> None: ...


@pytest.mark.parametrize(("codec", "breaks"), [(Codec.H264, True), (Codec.JPEG, False)])
def test_damage_that_comes_to_light_with_the_pixels_counts_as_well(
    log: Log, codec: Codec, breaks: bool
) -> None:
    decoding = Decoding(FULL_BGR, log.on_broken, Histogram(CODEC_BOUNDS_S), lambda _: LateDecoder())
    first, second = film(2, codec=codec)
    assert decoding.pixels(first) is Outcome.UNDECODABLE
    assert log.broken == int(breaks)
    assert decoding.pixels(second) is (Outcome.AWAITING_KEY if breaks else Outcome.UNDECODABLE)
