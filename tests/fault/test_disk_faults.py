"""A disk that is full, and one that has room again, under the sinks that write files."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from fanlight.consumer.sinks.frame_queue import FrameQueue
from fanlight.consumer.sinks.record import RecordSink
from scripts.faults.small_disk import SmallDisk
from tests.support.broker import tcp_url
from tests.support.commands import Command, running
from tests.support.found import found
from tests.support.shown import presented
from tests.support.timing import wait_until
from tests.unit.consumer.sinks.build import START_NS, STEP_NS, encoded

SINKS = ("record:r.mkv", "trace:t.csv", "snapshot:s.jpg")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 8 MiB."""
    with SmallDisk(tmp_path / "disk", 8) as small:
        if not small.mounted:
            pytest.skip("a small disk can be mounted by root only")
        yield small


@pytest.fixture
def disk(small: SmallDisk) -> Path:
    """Where it is."""
    return small.path


@pytest.fixture
def url(stream: str) -> Iterator[str]:
    """Where a producer serves."""
    url = tcp_url("multiplex")
    with running(
        "producer", "--url", url, "--stream", stream, "--size", "320x180", "--codec", "jpeg"
    ) as producer:
        producer.wait_line("listening")
        yield url


def consuming(url: str, stream: str, *sinks: str) -> list[str]:
    return ["--url", url, "--stream", stream, *(part for sink in sinks for part in ("--sink", sink))]


def logged(command: Command, part: str) -> list[str]:
    return [line.text for line in command.err.lines if part in line.text]


def playable(path: Path) -> int:
    """The number of frames up to the point that was written; 0 before a first part is complete."""
    count = 0
    try:
        with av.open(str(path)) as container:
            for _ in container.decode(video=0):
                count += 1
    except (FileNotFoundError, av.error.FFmpegError):
        pass  # what did not fit any more
    return count


def test_sinks_go_on_by_themselves_when_there_is_room_again(
    small: SmallDisk, disk: Path, url: str, stream: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    sinks = [sink.replace(":", f":{disk}/") for sink in SINKS]
    with running("consumer", *consuming(url, stream, *sinks, f"trace:{other}")) as command:
        wait_until(lambda: len(presented(other, time.time())) > 60, 40, "frames are presented")
        small.fill()
        wait_until(
            lambda: len(logged(command, "cannot be written: No space left")) == 3, 20, command.err.text
        )
        wait_until(lambda: len(presented(other, time.time())) > 120, 20, "other sinks go on")
        small.free()
        wait_until(lambda: len(logged(command, "can be written again")) == 3, 5, command.err.text)
        size = (disk / "r-2.mkv").stat().st_size
        wait_until(lambda: (disk / "r-2.mkv").stat().st_size > size + 100_000, 20, "it is written to")
        command.signal(signal.SIGTERM)
        assert command.wait(10) == 0, command.err.text
    assert len(logged(command, "be written")) == 6, command.err.text
    assert playable(disk / "r.mkv") > 30
    assert playable(disk / "r-2.mkv") > 10
    assert sorted(path.name for path in disk.iterdir()) == ["r-2.mkv", "r.mkv", "s.jpg", "t.csv"]
    with av.open(str(disk / "s.jpg")) as picture:
        assert len(list(picture.decode(video=0))) == 1
    # Rows waited for room: none is torn, none is missing.
    assert (disk / "t.csv").read_text() == other.read_text()


def test_a_sidecar_ends_with_a_whole_line_and_goes_on_beside_the_next_file(
    small: SmallDisk, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="fanlight")
    frames = encoded(30, size=(320, 240))
    everything = FrameQueue(max_frames=100_000, max_bytes=1 << 30)
    sink = RecordSink(str(disk / "r.mkv"), everything, results=True)

    def record(until: Callable[[], object], what: str) -> None:
        def some() -> object:
            for seq in itertools.islice(numbers, 3):
                frame = frames[seq % len(frames)]
                header = frame.header._replace(seq=seq, capture_ns=START_NS + seq * STEP_NS)
                sink.receive(replace(frame, header=header))
                sink.result(found(seq, boxes=((1.0, 2.0, 30.0, 40.0),), labels=("face",)))
            assert sink.tick()
            return until()

        wait_until(some, 20, what)

    def lines(name: str) -> list[dict[str, Any]]:
        text = (disk / name).read_text() if (disk / name).exists() else ""
        # The last one may be on its way.
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    numbers = itertools.count()
    record(lambda: len(lines("r.mkv.jsonl")) > 60, "thirty frames")
    small.fill()
    record(lambda: "No space left on device" in caplog.text, "a write that fails")
    small.free()
    record(lambda: len(lines("r-2.mkv.jsonl")) > 60, "thirty frames in the next file")
    sink.close()
    for name in ("r.mkv", "r-2.mkv"):
        assert (disk / f"{name}.jsonl").read_bytes().endswith(b"}\n")
        recorded = [each["seq"] for each in lines(f"{name}.jsonl") if each["type"] == "frame"]
        assert recorded == list(range(recorded[0], recorded[0] + len(recorded)))
        # What the disk was too full for at last may be in the one and not in the other.
        assert len(recorded) - 3 <= playable(disk / name) <= len(recorded) + 1
        found_in = {each["seq"] for each in lines(f"{name}.jsonl") if each["type"] == "result"}
        assert found_in <= set(recorded)


def test_a_disk_that_is_full_to_the_end_is_an_error_but_not_before(
    small: SmallDisk, disk: Path, url: str, stream: str
) -> None:
    with running("consumer", *consuming(url, stream, f"record:{disk}/r.mp4", "null")) as command:
        wait_until(lambda: playable(disk / "r.mp4") > 0, 15)
        small.fill()
        line = command.wait_line("cannot be written: No space left on device; free some space")
        wait_until(lambda: time.monotonic() > line.at_s + 1.5, 5)
        assert command.process.poll() is None
        command.signal(signal.SIGINT)
        assert command.wait(10) == 1
    assert command.err.lines[-1].text == (
        f"consumer: record:{disk}/r.mp4 cannot be written any further: No space left on device"
    )
    assert playable(disk / "r.mp4") > 0
    assert sorted(path.name for path in disk.iterdir()) == ["filler", "r.mp4"]


def test_a_trace_that_can_never_be_written_is_one_line_and_an_error(url: str, stream: str) -> None:
    with running("consumer", *consuming(url, stream, "trace:/dev/full"), "--duration", "3s") as command:
        assert command.wait(30) == 1
    assert len(logged(command, "trace:/dev/full cannot be written: No space left on device")) == 1
    assert "Traceback" not in command.err.text
