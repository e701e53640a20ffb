"""The files of one recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.sinks.recording import Recording
from tests.unit.consumer.sinks.build import STEP_NS, encoded


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


def test_a_change_of_size_or_codec_opens_the_next_file_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(tmp_path / "r.mp4")
    record(recording, encoded(9))
    record(recording, encoded(8, size=(96, 64)))
    record(recording, encoded(7, of=Codec.JPEG, size=(96, 64)))
    recording.close()
    assert content(tmp_path / "r.mp4") == ("h264", 64, 48, 9)
    assert content(tmp_path / "r-2.mp4") == ("h264", 96, 64, 8)
    assert content(tmp_path / "r-3.mp4") == ("mjpeg", 96, 64, 7)
    assert [record.getMessage() for record in caplog.records] == [
        f"record: the stream is now h264 96x64, recording goes on in {tmp_path}/r-2.mp4",
        f"record: the stream is now jpeg 96x64, recording goes on in {tmp_path}/r-3.mp4",
    ]


def test_a_new_epoch_of_the_same_shape_goes_on_in_the_same_file(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.mkv")
    record(recording, encoded(9))
    record(recording, [replace(f, header=f.header._replace(epoch=8)) for f in encoded(9)])
    recording.close()
    assert content(tmp_path / "r.mkv")[3] == 18
    assert [p.name for p in tmp_path.iterdir()] == ["r.mkv"]


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
    assert [record.getMessage() for record in caplog.records] == [expected]


def test_a_recording_of_nothing_leaves_no_file(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.mp4")
    assert (tmp_path / "r.mp4").exists(), "the name is taken from the start"
    recording.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["r.avi", "r", "r.mp4.part"])
def test_another_extension_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"allowed is a file name that ends in \.mp4 or \.mkv$"):
        Recording(tmp_path / name)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "nope" / "r.mp4", tmp_path / "file" / "r.mp4", Path("/proc/r.mp4")):
        with pytest.raises(ConfigError, match="cannot be used: allowed is a file that can be written"):
            Recording(path)
