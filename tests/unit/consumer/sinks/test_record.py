"""`record:FILE`: the queue, the thread, and what happens when the disk is slow or full."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest

from fanlight.common.model.errors import SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.sinks.record import RecordSink
from fanlight.consumer.sinks.recording import Recording
from tests.support.timing import scaled, wait_until
from tests.unit.consumer.sinks.build import encoded


def count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_it_starts_at_a_keyframe_and_so_does_every_epoch(tmp_path: Path) -> None:
    frames = encoded(20)
    sink = RecordSink(str(tmp_path / "r.mp4"))
    for frame in frames[1:]:
        sink.receive(frame)
    for frame in frames[10:]:
        sink.receive(replace(frame, header=frame.header._replace(epoch=8)))
    sink.close()
    assert count(tmp_path / "r.mp4") == 10
    assert sink.left_out == 0, "what came before the recording began is not missing from it"


class SlowDisk:
    """Writes nothing before it may. Keeps what it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seqs: list[int] = []
        self.busy = threading.Event()
        self.may_write = threading.Event()
        monkeypatch.setattr(Recording, "write", self._write)

    def _write(self, frame: EncodedFrame, _arrival_ns: int) -> None:
        self.busy.set()
        assert self.may_write.wait(scaled(20))
        self.seqs.append(frame.header.seq)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    slow = SlowDisk(monkeypatch)
    yield slow
    slow.may_write.set()


def test_a_full_queue_leaves_out_whole_frames_up_to_a_keyframe(
    tmp_path: Path, disk: SlowDisk, caplog: pytest.LogCaptureFixture
) -> None:
    frames = encoded(60)
    sink = RecordSink(str(tmp_path / "r.mp4"), max_frames=20)
    sink.receive(frames[0])
    assert disk.busy.wait(scaled(5))
    # 1 to 20 fill the queue while frame 0 is being written; 21 does not fit.
    for frame in frames[1:40]:
        sink.receive(frame)
    disk.may_write.set()
    wait_until(lambda: len(disk.seqs) == 21, 5)
    for frame in frames[40:]:
        sink.receive(frame)
    sink.close()
    assert disk.seqs == [*range(21), *range(45, 60)]
    assert sink.left_out == 24
    assert [r.getMessage() for r in caplog.records][-1].endswith("frames left out so far: 24")


def test_the_queue_is_bounded_by_bytes_too(tmp_path: Path, disk: SlowDisk) -> None:
    frames = encoded(10, of=Codec.RAW)
    size = len(frames[0].body)
    sink = RecordSink(str(tmp_path / "r.mp4"), max_bytes=3 * size)
    sink.receive(frames[0])
    assert disk.busy.wait(scaled(5))
    for frame in frames[1:]:
        sink.receive(frame)
    assert sink.left_out == 6
    disk.may_write.set()
    sink.close()
    assert disk.seqs == [0, 1, 2, 3]


def test_a_frame_larger_than_the_queue_is_still_recorded(tmp_path: Path) -> None:
    sink = RecordSink(str(tmp_path / "r.mp4"), max_bytes=1)
    sink.receive(encoded(1)[0])
    sink.close()
    assert count(tmp_path / "r.mp4") == 1


def test_frames_left_out_are_told_once_a_second_at_most(
    tmp_path: Path, disk: SlowDisk, caplog: pytest.LogCaptureFixture
) -> None:
    frames = encoded(30, of=Codec.JPEG)
    sink = RecordSink(str(tmp_path / "r.mp4"), max_frames=1)
    disk.may_write.set()
    for frame in frames * 200:
        sink.receive(frame)
    sink.close()
    assert sink.left_out > 0
    assert 1 <= len(caplog.records) < 1 + scaled(10)


def test_a_failure_at_the_very_end_is_told_by_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Recording) -> None:
        raise OSError(28, "No space left on device")

    sink = RecordSink(str(tmp_path / "r.mp4"))
    sink.receive(encoded(1)[0])
    monkeypatch.setattr(Recording, "close", full)
    with pytest.raises(SinkError, match="cannot be written any further: No space left on device"):
        sink.close()
