from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from fanlight.common.codec import decoder, encoder
from fanlight.common.codec.base import Decoded, Decoder, Encoder
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.pixels import FULL_BGR, Form, Pixels
from fanlight.consumer.decoding import Decoding
from fanlight.consumer.playout import Arrived
from fanlight.consumer.stats import Event
from tests.support.headers import header
from tests.unit.common.codec.build import gradient

SECOND = 1_000_000_000
PICTURE = gradient(64, 48)
INTRA_ONLY = [codec for codec in Codec if codec.intra_only]


def arrived(
    codec: Codec, seq: int, body: bytes, *, key: bool = True, epoch: int = 1, reset: bool = False
) -> Arrived:
    return Arrived(EncodedFrame(header(seq, codec, epoch=epoch, key=key), body), 0, 0, reset)


def film(
    count: int, *, keys: tuple[int, ...] = (0,), codec: Codec = Codec.H264, epoch: int = 1
) -> list[Arrived]:
    coder: Encoder = encoder(codec, fps=1000, gop_s=10)
    frames = []
    for seq in range(count):
        encoded = coder.encode(np.roll(PICTURE, 4 * seq, 1), key=seq in keys)
        frames.append(arrived(codec, seq, encoded.body, key=encoded.key, epoch=epoch, reset=seq == 0))
    return frames


def broken(seq: int, *, codec: Codec = Codec.H264, key: bool = False) -> Arrived:
    return arrived(codec, seq, b"\0\0\0\1\x41nonsense", key=key or codec.intra_only)


def straight(frames: list[Arrived]) -> list[Pixels]:
    """The pixels of all, by a decoder that nobody stands in front of."""
    one = decoder(frames[0].header.codec)
    return [one.decode(frame.frame).pixels() for frame in frames]


@dataclass
class Log:
    """What the decoders were told."""

    calls: list[str] = field(default_factory=list)

    @property
    def decoded(self) -> list[int]:
        return [int(call) for call in self.calls if call.isdigit()]


class Overheard:
    """A decoder with somebody listening."""

    def __init__(self, log: Log, behind: Decoder) -> None:
        self._log = log
        self._behind = behind

    def decode(self, frame: EncodedFrame) -> Decoded:
        self._log.calls.append(str(frame.header.seq))
        return self._behind.decode(frame)

    def reset(self) -> None:
        self._log.calls.append("reset")
        self._behind.reset()


class Told:
    count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()

    def overheard(codec: Codec) -> Decoder:
        log.calls.append(codec)
        return Overheard(log, decoder(codec))

    monkeypatch.setattr("fanlight.consumer.decoding.decoder", overheard)
    return log


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def decoding(log: Log, told: Told) -> Decoding:
    return Decoding(FULL_BGR, told)


def same(image: Pixels | Event, expected: Pixels | Event) -> bool:
    return (
        isinstance(image, np.ndarray)
        and isinstance(expected, np.ndarray)
        and np.array_equal(image, expected)
    )


# Pixels ------------------------------------------------------------------------------------------------


def test_the_codec_may_change_with_the_producer(decoding: Decoding, log: Log) -> None:
    for epoch, codec in enumerate((Codec.H264, Codec.RAW, Codec.H264)):
        frames = film(1, codec=codec, epoch=epoch)
        assert same(decoding.pixels(frames[0]), straight(frames)[0])
    assert log.calls == ["h264", "0", "raw", "0", "h264", "0"]


# Frames that are not shown -----------------------------------------------------------------------------


def test_inter_coded_frames_that_are_skipped_are_decoded_in_order(decoding: Decoding, log: Log) -> None:
    frames = film(4)
    for frame in frames[:3]:
        decoding.skip(frame)
    assert same(decoding.pixels(frames[3]), straight(frames)[3])
    assert log.decoded == [0, 1, 2, 3]


@pytest.mark.parametrize("codec", INTRA_ONLY)
def test_intra_only_frames_that_are_skipped_are_not_decoded(
    decoding: Decoding, log: Log, codec: Codec
) -> None:
    frames = film(3, codec=codec)
    for frame in frames[:2]:
        decoding.skip(frame)
    assert log.calls == []
    assert same(decoding.pixels(frames[2]), straight(frames)[2])
    assert log.decoded == [2]


# Resets ------------------------------------------------------------------------------------------------


def test_the_decoder_starts_anew_before_a_frame_that_says_so_and_before_no_other(
    decoding: Decoding, log: Log
) -> None:
    first, second = film(2, keys=(0, 1)), film(2, epoch=2)
    for frame in (*first, *second):
        assert isinstance(decoding.pixels(frame), np.ndarray)
    assert log.calls == ["h264", "0", "1", "reset", "0", "1"]


def test_a_reset_is_obeyed_by_frames_that_are_skipped_or_decoded_ahead_too(
    decoding: Decoding, log: Log
) -> None:
    decoding.pixels(film(1)[0])
    decoding.skip(film(1, epoch=2)[0])
    decoding.decode_ahead(film(1, epoch=3)[0])
    decoding.prepare(film(1, epoch=4)[0])
    assert log.calls == ["h264", "0", *["reset", "0"] * 3]


# Before its turn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", Codec)
def test_work_before_its_turn_does_not_change_a_frame(decoding: Decoding, log: Log, codec: Codec) -> None:
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
def test_a_frame_that_was_prepared_or_decoded_ahead_and_then_skipped_is_not_decoded_twice(
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


def test_frames_decoded_ahead_and_given_up_in_silence_are_let_go(decoding: Decoding, log: Log) -> None:
    """A keyframe or a producer that restarted made them superfluous."""
    old, new = film(4), film(2, epoch=2)
    for frame in old:
        decoding.decode_ahead(frame)
    decoding.prepare(new[0])
    assert not decoding._ahead
    assert all(same(decoding.pixels(frame), image) for frame, image in zip(new, straight(new), strict=True))
    assert log.calls == ["h264", "0", "1", "2", "3", "reset", "0", "1"]


def test_at_rest_it_holds_nothing_and_begins_anew_afterwards(decoding: Decoding, log: Log) -> None:
    before, after = film(3), film(2, epoch=2)
    assert isinstance(decoding.pixels(before[0]), np.ndarray)
    decoding.prepare(before[1])
    decoding.decode_ahead(before[2])
    decoding.rest()
    assert (decoding._decoder, decoding._prepared, len(decoding._ahead)) == (None, None, 0)
    assert all(same(decoding.pixels(one), image) for one, image in zip(after, straight(after), strict=True))
    assert log.calls == ["h264", "0", "1", "2", "h264", "0", "1"]


# Damage ------------------------------------------------------------------------------------------------


def test_after_a_decode_error_nothing_is_shown_before_the_next_keyframe(
    decoding: Decoding, log: Log, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    frames = film(6, keys=(0, 4))
    assert isinstance(decoding.pixels(frames[0]), np.ndarray)
    assert decoding.pixels(broken(1)) is Event.UNDECODABLE
    assert told.count == 1
    assert [decoding.pixels(late) for late in frames[2:4]] == [Event.AWAITING_KEY] * 2
    assert log.decoded == [0, 1], "the others were not even tried"
    assert all(
        same(decoding.pixels(frame), image)
        for frame, image in zip(frames[4:], straight(frames)[4:], strict=True)
    )
    assert log.calls[-3:] == ["reset", "4", "5"]
    assert told.count == 1
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("frame refused: h264 body ")


@pytest.mark.parametrize("way", ["skip", "prepare", "decode_ahead"])
def test_a_decode_error_of_a_frame_that_is_not_shown_yet_counts_as_well(
    decoding: Decoding, log: Log, told: Told, way: str
) -> None:
    frames = film(5, keys=(0, 3))
    decoding.pixels(frames[0])
    damaged = broken(1)
    getattr(decoding, way)(damaged)
    assert told.count == 1
    getattr(decoding, way)(frames[2])
    getattr(decoding, way)(frames[3])
    if way == "decode_ahead":
        assert [decoding.pixels(frame) for frame in (damaged, frames[2])] == [
            Event.UNDECODABLE,
            Event.AWAITING_KEY,
        ]
    if way == "skip":
        assert same(decoding.pixels(frames[4]), straight(frames)[4])
    else:
        assert same(decoding.pixels(frames[3]), straight(frames)[3])
    assert (log.decoded[:3], told.count) == ([0, 1, 3], 1)


def test_a_prepared_frame_that_cannot_be_decoded_is_not_tried_again(
    decoding: Decoding, log: Log, told: Told
) -> None:
    damaged = broken(0, key=True)
    decoding.prepare(damaged)
    assert decoding.pixels(damaged) is Event.UNDECODABLE
    assert (log.decoded, told.count) == ([0], 1)


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.PNG])
def test_a_broken_frame_that_stands_alone_breaks_no_other(
    decoding: Decoding, told: Told, codec: Codec, caplog: pytest.LogCaptureFixture
) -> None:
    frames = film(2, codec=codec)
    assert decoding.pixels(broken(0, codec=codec)) is Event.UNDECODABLE
    assert same(decoding.pixels(frames[1]), straight(frames)[1])
    assert told.count == 0
    assert len(caplog.messages) == 1


class Late:
    """A frame whose damage comes to light with its pixels."""

    def pixels(self, form: Form = FULL_BGR) -> Pixels:
        raise DecodeError("h264 body does not convert")


class LateDecoder:
    def decode(self, _: EncodedFrame) -> Decoded:
        return Late()

    def reset(self) -> None: ...


@pytest.mark.parametrize(("codec", "breaks"), [(Codec.H264, True), (Codec.JPEG, False)])
def test_damage_that_comes_to_light_with_the_pixels_counts_as_well(
    monkeypatch: pytest.MonkeyPatch, told: Told, codec: Codec, breaks: bool
) -> None:
    monkeypatch.setattr("fanlight.consumer.decoding.decoder", lambda _: LateDecoder())
    decoding = Decoding(FULL_BGR, told)
    first, second = film(2, codec=codec)
    assert decoding.pixels(first) is Event.UNDECODABLE
    assert told.count == int(breaks)
    assert decoding.pixels(second) is (Event.AWAITING_KEY if breaks else Event.UNDECODABLE)


def test_refused_frames_are_told_once_a_second(
    decoding: Decoding, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_ns = [SECOND]
    monkeypatch.setattr("fanlight.consumer.decoding.monotonic_ns", lambda: now_ns[0])
    for seq in range(3):
        decoding.pixels(broken(seq, key=True))
    assert len(caplog.messages) == 1
    assert "more like it" not in caplog.messages[0]
    now_ns[0] += SECOND
    decoding.pixels(broken(3, key=True))
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith(" (and 2 more like it)")
