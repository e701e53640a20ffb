"""`record:FILE`: the files, and what happens when the disk is slow or full."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from fanlight.common.model.errors import ConfigError, SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.sinks.frame_queue import FrameQueue
from fanlight.consumer.sinks.record import Recording, RecordSink
from tests.support.found import found
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import STEP_NS, encoded

# The files -----------------------------------------------------------------------------------------------


def record(recording: Recording, frames: list[EncodedFrame]) -> None:
    for frame in frames:
        recording.write(frame, frame.header.seq * STEP_NS)


def content(path: Path) -> tuple[str, int, int, int]:
    """(codec, width, height, frames) of a file."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        name = context.name
        count = sum(1 for _ in container.decode(video=0))
        return name, context.width, context.height, count


def test_a_change_of_size_or_codec_but_not_of_epoch_opens_the_next_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(tmp_path / "r.mp4")
    record(recording, encoded(9))
    record(recording, [replace(f, header=f.header._replace(epoch=8)) for f in encoded(9)])
    record(recording, encoded(8, size=(96, 64)))
    record(recording, encoded(7, of=Codec.JPEG, size=(96, 64)))
    recording.close()
    assert content(tmp_path / "r.mp4") == ("h264", 64, 48, 18)
    assert content(tmp_path / "r-2.mp4") == ("h264", 96, 64, 8)
    assert content(tmp_path / "r-3.mp4") == ("mjpeg", 96, 64, 7)
    assert caplog.messages == [
        f"record: the stream is now h264 96x64, recording goes on in {tmp_path}/r-2.mp4",
        f"record: the stream is now jpeg 96x64, recording goes on in {tmp_path}/r-3.mp4",
    ]


def test_what_was_recorded_stays_however_often_writing_fails(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.mkv")
    record(recording, encoded(9))
    for _ in range(2):
        recording.abandon()
    assert content(tmp_path / "r.mkv")[3] >= 8


def test_an_existing_file_is_kept_and_the_next_free_name_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "r.mp4"
    path.write_bytes(b"precious")
    (tmp_path / "r-2.mp4").write_bytes(b"too")
    recording = Recording(path)
    record(recording, encoded(3))
    recording.close()
    assert path.read_bytes() == b"precious"
    assert (tmp_path / "r-2.mp4").read_bytes() == b"too"
    assert content(tmp_path / "r-3.mp4")[3] == 3
    expected = f"record: {path} exists and is kept, recording to {tmp_path}/r-3.mp4"
    assert caplog.messages == [expected]


def test_a_recording_of_nothing_leaves_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    recording = Recording(tmp_path / "r.mp4")
    assert (tmp_path / "r.mp4").exists(), "the name is taken from the start"
    recording.close()
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == [f"record:{tmp_path}/r.mp4: nothing was recorded"]


@pytest.mark.parametrize("name", ["r.avi", "nope/r.mp4", "file/r.mp4"])
def test_an_unusable_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    allowed = "name that ends in .mp4 or .mkv" if name == "r.avi" else "that can be written"
    with pytest.raises(ConfigError, match=f"cannot be used: allowed is a file {allowed}"):
        Recording(tmp_path / name)


def test_at_its_end_a_recording_says_where_it_is_and_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    recording = Recording(Path("r.mkv"))
    record(recording, encoded(45))
    recording.close()
    assert caplog.messages == [f"recorded 1.5 s, 45 frames: {tmp_path}/r.mkv"]


def foreign(frame: EncodedFrame, of: Codec, size: tuple[int, int]) -> EncodedFrame:
    """A frame of somebody else, right after this one."""
    other = encoded(1, of=of, size=size)[0]
    seq, capture_ns = frame.header.seq, frame.header.capture_ns + 1
    return replace(other, header=other.header._replace(seq=seq, capture_ns=capture_ns))


@pytest.mark.parametrize("name", ["r.mkv", "r.mp4"])
@pytest.mark.parametrize("of", [Codec.PNG, Codec.JPEG, Codec.RAW, Codec.H264])
@pytest.mark.parametrize("fps", [1e-300, 30.0])
def test_a_foreign_frame_costs_itself(
    tmp_path: Path, name: str, of: Codec, fps: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    frames = encoded(20)
    other = foreign(frames[9], of, (32, 24))
    sink = RecordSink(str(tmp_path / name))
    for frame in [*frames[:10], replace(other, header=other.header._replace(fps=fps)), *frames[10:]]:
        sink.receive(frame)
    sink.close()
    assert content(tmp_path / name) == ("h264", 64, 48, 20)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    warning, end = caplog.messages
    assert warning.startswith(f"record:{tmp_path}/{name}: frame left out: ")
    assert end == f"recorded 0.7 s, 20 frames, 1 left out: {tmp_path}/{name}"


def test_of_two_streams_that_alternate_the_first_is_recorded(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.mkv")
    for frame in encoded(20):
        record(recording, [frame, foreign(frame, Codec.JPEG, (32, 24))])
    recording.close()
    assert content(tmp_path / "r.mkv") == ("h264", 64, 48, 20)
    assert recording.left_out == 20


def test_a_file_whose_first_frame_is_refused_is_begun_again(tmp_path: Path) -> None:
    frames = encoded(20)
    odd = foreign(frames[0], Codec.JPEG, (32, 24))
    sink = RecordSink(str(tmp_path / "r.mp4"))
    for frame in [replace(odd, header=odd.header._replace(fps=1e-300)), *frames]:
        sink.receive(frame)
    sink.close()
    assert [content(path) for path in tmp_path.iterdir()] == [("h264", 64, 48, 20)]


def test_a_stream_that_the_file_cannot_hold_ends_with_what_to_do(tmp_path: Path) -> None:
    sink = RecordSink(str(tmp_path / "r.mkv"))
    for frame in encoded(3, of=Codec.PNG):
        sink.receive(frame)
    with pytest.raises(SinkError, match=r"cannot hold png: record to a file that ends in \.mp4"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


# The sidecar ---------------------------------------------------------------------------------------------


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def seqs(path: Path, kind: str) -> list[int]:
    return [each["seq"] for each in read_lines(path) if each["type"] == kind]


def with_meta(frame: EncodedFrame) -> EncodedFrame:
    return replace(frame, header=frame.header._replace(meta=f'{{"n":{frame.header.seq}}}'))


def test_a_recording_of_nothing_special_has_no_sidecar(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.mp4")
    record(recording, encoded(9))
    recording.close()
    assert [path.name for path in tmp_path.iterdir()] == ["r.mp4"]


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
@pytest.mark.parametrize("of", [Codec.H264, Codec.JPEG])
def test_each_line_names_the_picture_at_its_position(tmp_path: Path, name: str, of: Codec) -> None:
    recording = Recording(tmp_path / name)
    record(recording, [with_meta(frame) for frame in encoded(20, of=of)])
    recording.close()
    lines = read_lines(tmp_path / f"{name}.jsonl")
    assert [each["meta"]["n"] for each in lines] == list(range(20))
    with av.open(str(tmp_path / name)) as container:
        for frame, each in zip(container.decode(video=0), lines, strict=True):
            assert round(frame.time, 4) == round(each["at_s"], 4), "as docs/results.md reads it"
            red = frame.to_ndarray(format="bgr24")[:, :, 2].mean()
            assert red == pytest.approx(each["seq"] * 8, abs=5), "see `picture`"


def test_with_results_each_file_has_its_sidecar_with_its_own(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.mp4", results=True)
    others = [replace(f, header=f.header._replace(epoch=8)) for f in encoded(5, size=(96, 64))]
    for frame in (*encoded(5), *others):
        record(recording, [frame])
        head = frame.header
        recording.result(found(head.seq, epoch=head.epoch, size=(head.width, head.height)))
    recording.close()
    for name, width in (("r.mp4.jsonl", 64), ("r-2.mp4.jsonl", 96)):
        lines = read_lines(tmp_path / name)
        assert seqs(tmp_path / name, "frame") == [0, 1, 2, 3, 4]
        found_in = [each["width"] for each in lines if each["type"] == "result"]
        assert found_in == [width] * 5


def test_a_name_whose_sidecar_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r.mp4.jsonl").write_text("precious")
    recording = Recording(tmp_path / "r.mp4", results=True)
    record(recording, encoded(3))
    recording.close()
    assert (tmp_path / "r.mp4.jsonl").read_text() == "precious"
    assert seqs(tmp_path / "r-2.mp4.jsonl", "frame") == [0, 1, 2]


def test_results_without_a_frame_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    sink = RecordSink(str(tmp_path / "r.mkv"), results=True)
    for frame in encoded(3):
        sink.receive(frame)
    for seq in (0, 2, 77):
        sink.result(found(seq))
    sink.close()
    assert caplog.messages[-1] == f"record:{tmp_path}/r.mkv: results without their frame: 1"
    assert sorted(seqs(tmp_path / "r.mkv.jsonl", "result")) == [0, 2]


@pytest.mark.parametrize(("size_bytes", "kept"), [(100, 1024), (60_000, 69)])
def test_results_that_wait_for_a_frame_are_bounded_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size_bytes: int, kept: int
) -> None:
    sink = RecordSink(str(tmp_path / "r.mkv"), results=True)
    for _ in range(1500):
        sink.result(replace(found(0), size_bytes=size_bytes))
    sink.receive(encoded(1)[0])
    sink.close()
    assert seqs(tmp_path / "r.mkv.jsonl", "result") == [0] * kept
    assert caplog.messages == [f"record:{tmp_path}/r.mkv: results left out: {1500 - kept}"]


# The sink ------------------------------------------------------------------------------------------------


def test_a_slow_disk_costs_frames_of_the_recording_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    busy, may_write, written = threading.Event(), threading.Event(), list[int]()

    def write(_self: Recording, frame: EncodedFrame, _arrival_ns: int) -> None:
        busy.set()
        assert may_write.wait(scaled(20))
        written.append(frame.header.seq)

    monkeypatch.setattr(Recording, "write", write)
    frames = encoded(10, of=Codec.JPEG)
    sink = RecordSink(str(tmp_path / "r.mp4"), FrameQueue(max_frames=3))
    sink.receive(frames[0])
    assert busy.wait(scaled(15))
    for frame in frames[1:]:
        sink.receive(frame)
    assert sink.tick()
    may_write.set()
    sink.close()
    assert written == [0, 1, 2, 3]
    assert caplog.messages == [f"record:{tmp_path}/r.mp4: the disk is too slow, frames left out so far: 6"]
