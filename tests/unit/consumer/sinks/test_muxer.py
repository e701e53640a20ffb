"""One recorded file: what goes in comes out, byte by byte."""

from __future__ import annotations

import re
import resource
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest

from fanlight.common import codec
from fanlight.common.model.errors import SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.sinks.muxer import (
    MAX_STEP_NS,
    MIN_STEP_NS,
    Muxer,
    Timeline,
    WholeFile,
    require_codec,
)
from tests.unit.common.codec.build import psnr
from tests.unit.consumer.sinks.build import STEP_NS, encoded, header, picture

START_CODE = re.compile(rb"\x00\x00\x00?\x01")


def annex_b_units(body: bytes) -> list[bytes]:
    return [unit for unit in START_CODE.split(body) if unit]


def length_prefixed_units(body: bytes) -> list[bytes]:
    units = []
    while body:
        size = int.from_bytes(body[:4])
        units.append(body[4 : 4 + size])
        body = body[4 + size :]
    return units


def mux(path: Path, frames: list[EncodedFrame]) -> None:
    muxer = Muxer(path.open("xb", buffering=0), frames[0].header)
    write_all(muxer, frames)
    muxer.close()


def write_all(muxer: Muxer, frames: list[EncodedFrame]) -> None:
    for frame in frames:
        muxer.write(frame, frame.header.seq * STEP_NS)


def packets(path: Path) -> list[tuple[bytes, bool]]:
    with av.open(str(path)) as container:
        return [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_h264_is_copied_unit_by_unit_not_encoded(tmp_path: Path, name: str) -> None:
    frames = encoded(40, size=(321, 241))
    mux(tmp_path / name, frames)
    copied = [(length_prefixed_units(body), key) for body, key in packets(tmp_path / name)]
    assert copied == [(annex_b_units(f.body), f.header.key) for f in frames]


@pytest.mark.parametrize(
    ("of", "name"), [(Codec.JPEG, "r.mp4"), (Codec.JPEG, "r.mkv"), (Codec.PNG, "r.mp4")]
)
def test_jpeg_and_png_are_copied_byte_by_byte(tmp_path: Path, of: Codec, name: str) -> None:
    frames = encoded(10, of=of)
    mux(tmp_path / name, frames)
    assert packets(tmp_path / name) == [(frame.body, True) for frame in frames]


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_files_contain_the_frames_that_players_can_seek_to(tmp_path: Path, name: str) -> None:
    frames = encoded(40)
    mux(tmp_path / name, frames)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        # The file's own index; the flags of packets libav finds out by itself.
        seekable = {
            float(entry.timestamp * (stream.time_base or 0))
            for _ in container.demux(stream)
            for entry in stream.index_entries
            if entry.is_keyframe
        }
    assert sorted(seekable) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_raw_goes_through_libx264(tmp_path: Path, name: str) -> None:
    frames = encoded(35, of=Codec.RAW, size=(161, 121))
    mux(tmp_path / name, frames)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        shown = [f.to_ndarray(format="bgr24")[:121, :161] for f in container.decode(video=0)]
    assert len(shown) == 35
    for seq, image in enumerate(shown):
        assert psnr(np.asarray(image, np.uint8), picture(seq, (161, 121))) > 30, seq


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
@pytest.mark.parametrize("fps", [1e-6, 1 / 86400, 0.0004])
def test_a_frame_a_day_is_recorded(tmp_path: Path, name: str, fps: float) -> None:
    frames = [replace(f, header=f.header._replace(fps=fps)) for f in encoded(3, of=Codec.JPEG)]
    mux(tmp_path / name, frames)
    assert len(packets(tmp_path / name)) == 3


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_times_are_those_of_capture_also_across_a_pause(tmp_path: Path, name: str) -> None:
    frames = encoded(12)
    late_ns = 5_000_000_000
    moved = [
        replace(f, header=f.header._replace(capture_ns=f.header.capture_ns + (i >= 6) * late_ns))
        for i, f in enumerate(frames)
    ]
    muxer = Muxer((tmp_path / name).open("xb", buffering=0), moved[0].header)
    for i, frame in enumerate(moved):
        muxer.write(frame, i * STEP_NS + (i >= 6) * late_ns)
    muxer.close()
    with av.open(str(tmp_path / name)) as container:
        times = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.pts is not None]
    expected = [i / 30 + (i >= 6) * 5 for i in range(12)]
    assert times == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_another_producer_with_other_settings_is_recorded_on(tmp_path: Path, name: str) -> None:
    """Parameter sets stay in band, so that a decoder follows those of the second epoch."""
    pictures = [picture(seq, (320, 240)) for seq in range(20)]
    worse = codec.encoder(Codec.H264, fps=30, gop_s=0.5, quality=35)
    first = encoded(20, size=(320, 240), pictures=pictures)
    second = []
    for frame, source in zip(first, pictures, strict=True):
        body = worse.encode(source, key=False)
        later_ns = frame.header.capture_ns + 20 * STEP_NS
        header = frame.header._replace(
            epoch=8, key=body.key, capture_ns=later_ns, seq=frame.header.seq + 20
        )
        second.append(EncodedFrame(header, body.body))
    mux(tmp_path / name, first + second)
    with av.open(str(tmp_path / name)) as container:
        decoded = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    assert len(decoded) == 40
    for image, source in zip(decoded, pictures * 2, strict=True):
        assert psnr(np.asarray(image, np.uint8), source) > 25


def test_png_in_matroska_is_refused_with_what_to_do() -> None:
    with pytest.raises(SinkError, match=r"r\.mkv cannot hold png: record to a file that ends in \.mp4"):
        require_codec(Path("r.mkv"), Codec.PNG)


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_a_file_has_the_time_at_which_it_begins(tmp_path: Path, name: str) -> None:
    mux(tmp_path / name, encoded(2))
    with av.open(str(tmp_path / name)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    for tag in ("creation_time", "date"):
        assert datetime.fromisoformat(tags[tag]) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(("name", "frames"), [("r.mkv", 2), ("r.mp4", 12)])
@pytest.mark.parametrize("of", [Codec.H264, Codec.JPEG])
def test_the_first_frames_are_in_the_file_before_it_is_closed(
    tmp_path: Path, name: str, frames: int, of: Codec
) -> None:
    path = tmp_path / name
    muxer = Muxer(path.open("xb", buffering=0), header(of=of))
    for frame in encoded(frames, of=of, gop_s=10):
        muxer.write(frame, frame.header.seq * STEP_NS)
    killed = tmp_path / f"killed-{name}"
    killed.write_bytes(path.read_bytes())
    muxer.abandon()
    with av.open(str(killed)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 1


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_a_file_that_could_not_be_written_any_further_can_be_played(tmp_path: Path, name: str) -> None:
    mux(tmp_path / name, frames := encoded(40))
    whole_bytes = (tmp_path / name).stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Wherever the last write ends: in the head of a fragment, for instance.
    for room_bytes in range(whole_bytes // 2, whole_bytes // 2 + 1000, 13):
        path = tmp_path / f"{room_bytes}-{name}"
        muxer = Muxer(WholeFile(str(path), "x"), frames[0].header)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                write_all(muxer, frames)
            muxer.abandon()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 0, room_bytes


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
@pytest.mark.parametrize(
    ("of", "body"),
    [
        (Codec.JPEG, b""),
        (Codec.H264, b""),
        (Codec.H264, b"\0\0\0\1"),
        (Codec.H264, b"\0\0\1" * 5),
        (Codec.H264, b"\xff\xd8\xff\xd9"),
    ],
)
def test_a_frame_with_nothing_in_it_does_not_spoil_the_file(
    tmp_path: Path, name: str, of: Codec, body: bytes
) -> None:
    muxer = Muxer((tmp_path / name).open("xb", buffering=0), header(of=of))
    frames = encoded(30, of=of)
    for frame in frames:
        muxer.write(frame, frame.header.seq * STEP_NS)
        if frame.header.seq % 5 == 0:  # some of them are the first of a fragment
            empty = replace(frame, body=body, header=frame.header._replace(key=True))
            with pytest.raises(SinkError, match="with nothing in it"):
                muxer.write(empty, frame.header.seq * STEP_NS)
    muxer.close()
    with av.open(str(tmp_path / name)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(frames)


def test_the_duration_is_that_of_the_frames(tmp_path: Path) -> None:
    muxer = Muxer((tmp_path / "r.mkv").open("xb", buffering=0), header())
    for frame in encoded(15):
        muxer.write(frame, frame.header.seq * STEP_NS)
    assert muxer.frames == 15
    assert muxer.duration_s == pytest.approx(0.5, abs=0.001)
    muxer.close()


# Timestamps ----------------------------------------------------------------------------------------------

MS = 1_000_000
S = 1_000_000_000
HOUR = 3600 * S
WALL = 1_700_000_000 * S


def times(*frames: tuple[int, int]) -> list[int]:
    """Timestamps of frames given as (capture, arrival)."""
    timeline = Timeline()
    return [timeline.advance(WALL + capture_ns, arrival_ns) for capture_ns, arrival_ns in frames]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([(0, 0), (33 * MS, 90 * MS), (66 * MS, 91 * MS)], [0, 33 * MS, 66 * MS]),
        ([(0, 0), (60 * S, 60 * S)], [0, 60 * S]),
        ([(0, 0), (30 * HOUR, 30 * HOUR)], [0, MAX_STEP_NS]),
    ],
    ids=["jitter", "pause", "very long pause"],
)
def test_frames_keep_the_distance_of_their_capture_times(
    frames: list[tuple[int, int]], expected: list[int]
) -> None:
    assert times(*frames) == expected


@pytest.mark.parametrize("step", [2 * HOUR, -2 * HOUR])
def test_a_wall_clock_that_is_set_leaves_no_trace(step: int) -> None:
    after = times((0, 0), (33 * MS, 33 * MS), (66 * MS + step, 66 * MS), (99 * MS + step, 99 * MS))
    assert after == [0, 33 * MS, 66 * MS, 99 * MS]


@pytest.mark.parametrize("back", [0, 1, 500 * MS])
def test_time_never_stands_still_or_steps_back(back: int) -> None:
    assert times((0, 0), (-back, 1 * MS), (-back, 2 * MS)) == [0, MIN_STEP_NS, 2 * MIN_STEP_NS]
