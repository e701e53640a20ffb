"""Fragmented MP4: what goes in comes out, unit by unit, and each frame at once."""

from __future__ import annotations

import io
from dataclasses import replace

import av
import pytest

from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.remux import DECODE_TIME_OFFSET, TIMESCALE, Fragmenter, nal_units
from tests.unit.consumer.sinks.build import encoded

INTERVAL = TIMESCALE // 30


def fragments(fragmenter: Fragmenter, frames: list[EncodedFrame]) -> list[bytes]:
    return [fragmenter.fragment(frame, frame.header.capture_ns) for frame in frames]


def with_header(frame: EncodedFrame, **changes: object) -> EncodedFrame:
    return replace(frame, header=frame.header._replace(**changes))  # type: ignore[arg-type]


def decode_time(fragment: bytes) -> int:
    return int.from_bytes(fragment[DECODE_TIME_OFFSET : DECODE_TIME_OFFSET + 8])


def duration(fragment: bytes) -> int:
    return int.from_bytes(fragment[88:92])


@pytest.mark.parametrize("size", [(320, 240), (321, 241)])
def test_a_player_gets_every_picture_of_the_stream(size: tuple[int, int]) -> None:
    frames = encoded(20, size=size)
    fragmenter = Fragmenter(frames[0])
    written = io.BytesIO(fragmenter.init + b"".join(fragments(fragmenter, frames)))
    with av.open(written, "r") as container:
        stream = container.streams.video[0]
        pictures = list(container.decode(stream))
        assert (stream.width, stream.height) == (320 + size[0] % 2 * 2, 240 + size[1] % 2 * 2)
    assert len(pictures) == 20
    assert [picture.key_frame for picture in pictures] == [frame.header.key for frame in frames]


def test_each_fragment_can_be_decoded_before_the_next_one_comes() -> None:
    frames = encoded(3)
    fragmenter = Fragmenter(frames[0])
    seen = fragmenter.init
    for count, fragment in enumerate(fragments(fragmenter, frames), start=1):
        seen += fragment
        with av.open(io.BytesIO(seen), "r") as container:
            assert len([p for p in container.demux(video=0) if p.size]) == count


def test_samples_are_the_units_of_the_body_without_parameter_sets() -> None:
    frame = encoded(1)[0]
    fragmenter = Fragmenter(frame)
    sample = fragmenter.fragment(frame, 0)[108:]
    units = [unit for unit in nal_units(frame.body) if unit[0] & 31 not in (7, 8)]
    assert sample == b"".join(len(unit).to_bytes(4) + unit for unit in units)
    assert all(unit in fragmenter.init for unit in nal_units(frame.body) if unit[0] & 31 in (7, 8))


def test_timestamps_follow_the_capture_times_from_zero() -> None:
    frames = encoded(4)
    start = frames[0].header.capture_ns
    captured = [0, 33_000_000, 40_000_000, 1_040_000_000]
    moved = [with_header(f, capture_ns=start + at) for f, at in zip(frames, captured, strict=True)]
    times = [decode_time(fragment) for fragment in fragments(Fragmenter(frames[0]), moved)]
    assert times == [0, 2970, 3600, 93600]


def test_durations_add_up_for_players_and_are_generous_for_mse() -> None:
    frames = encoded(4)
    start = frames[0].header.capture_ns
    captured = [0, 20_000_000, 90_000_000, 100_000_000]
    moved = [with_header(f, capture_ns=start + at) for f, at in zip(frames, captured, strict=True)]
    exact = [duration(each) for each in fragments(Fragmenter(frames[0], exact=True), moved)]
    assert exact == [INTERVAL, 1800, 6300, 900]
    assert {duration(each) for each in fragments(Fragmenter(frames[0]), moved)} == {2 * INTERVAL}


def test_timestamps_survive_a_producer_with_another_clock() -> None:
    frames = encoded(2)
    fragmenter = Fragmenter(frames[0])
    fragmenter.fragment(frames[0], 0)
    other = with_header(frames[1], capture_ns=1)
    assert decode_time(fragmenter.fragment(other, 33_333_333)) == INTERVAL


def test_the_codec_string_is_that_of_the_parameter_sets() -> None:
    frame = encoded(1)[0]
    sps = next(unit for unit in nal_units(frame.body) if unit[0] & 31 == 7)
    assert Fragmenter(frame).codec_string == f"avc1.{sps[1]:02X}{sps[2]:02X}{sps[3]:02X}"


def test_what_needs_another_initialization_segment_does_not_fit() -> None:
    frames = encoded(2)
    fragmenter = Fragmenter(frames[0])
    assert all(fragmenter.fits(frame) for frame in frames)
    assert fragmenter.fits(with_header(frames[0], epoch=7))
    assert not fragmenter.fits(with_header(frames[1], width=640))
    assert not fragmenter.fits(with_header(frames[1], codec=Codec.JPEG))
    assert not fragmenter.fits(encoded(1, size=(640, 480))[0])


def test_units_are_found_whatever_start_codes_they_have() -> None:
    assert nal_units(b"\0\0\0\1\x67\x01\0\0\1\x68\x02\0\0\0\0\0\1\x65\x03") == [
        b"\x67\x01",
        b"\x68\x02",
        b"\x65\x03",
    ]
    assert nal_units(b"nothing") == []
    assert nal_units(b"\0\0\1\0\0\1") == []


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\1", b"nothing", b"\0\0\1\x65\x80", b"\0\0\1\x67\x42\0\0\1\x68\xce"]
)
def test_a_stream_cannot_begin_without_parameter_sets(body: bytes) -> None:
    with pytest.raises(DecodeError, match="parameter sets"):
        Fragmenter(replace(encoded(1)[0], body=body))


def test_jpegs_are_copied_byte_by_byte() -> None:
    frames = encoded(4, of=Codec.JPEG, size=(321, 241))
    fragmenter = Fragmenter(frames[0])
    assert all(fragmenter.fits(frame) for frame in frames)
    written = io.BytesIO(fragmenter.init + b"".join(fragments(fragmenter, frames)))
    with av.open(written, "r") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("mjpeg", 321, 241)
        assert [bytes(p) for p in container.demux(stream) if p.size] == [frame.body for frame in frames]


@pytest.mark.parametrize("codec", [Codec.PNG, Codec.RAW])
def test_other_codecs_are_refused(codec: Codec) -> None:
    with pytest.raises(DecodeError, match=f"^a stream of {codec} is not sent as MP4$"):
        Fragmenter(encoded(1, of=codec)[0])


def test_a_body_with_nothing_in_it_is_refused() -> None:
    first = encoded(1)[0]
    with pytest.raises(DecodeError, match="nothing in it"):
        Fragmenter(first).fragment(replace(first, body=b"\0\0\1"), 0)
