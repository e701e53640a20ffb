"""`pipe:FILE`, with real FIFOs and files."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import av
import pytest

from fanlight.common.model.errors import ConfigError, SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.sinks.pipe import PipeSink
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import encoded

FOR_EVER_S = 1e6


class Reader:
    """Reads a FIFO to its end, on a thread of its own, once it is started."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._descriptor, True)
        self._file = os.fdopen(self._descriptor, "rb")
        self.data = b""
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> bytes:
        self._thread.join(scaled(20))
        assert not self._thread.is_alive()
        return self.data

    def leave(self) -> None:
        self._file.close()

    def _read(self) -> None:
        with self._file:
            self.data = self._file.read()


@contextmanager
def piped(path: Path, **options: float) -> Iterator[tuple[PipeSink, Reader]]:
    reader = Reader(path)
    sink = PipeSink(str(path), **{"max_age_s": FOR_EVER_S, "patience_s": scaled(4)} | options)
    try:
        yield sink, reader
    finally:
        sink.close()


def pass_on(sink: PipeSink, frames: list[EncodedFrame]) -> None:
    for frame in frames:
        sink.receive(frame)


@pytest.mark.parametrize("codec", list(Codec))
def test_a_program_reads_the_bodies_as_they_came_from_a_keyframe_on(tmp_path: Path, codec: Codec) -> None:
    frames = encoded(40, of=codec)
    with piped(tmp_path / "fifo") as (sink, reader):
        reader.start()
        pass_on(sink, frames[3:])
        assert sink.tick()
    expected = frames[15:] if codec is Codec.H264 else frames[3:]
    assert reader.join() == b"".join(frame.body for frame in expected)
    assert sink.left_out == 0


def test_a_name_that_ends_in_ts_gets_a_transport_stream(tmp_path: Path) -> None:
    with piped(tmp_path / "fifo.TS") as (sink, reader):
        reader.start()
        pass_on(sink, encoded(20))
    with av.open(io.BytesIO(reader.join()), "r", format="mpegts") as container:
        assert sum(1 for _ in container.decode(video=0)) == 20


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "f.h264"
    path.write_bytes(b"an older one" * 1000)
    frames = encoded(3)
    sink = PipeSink(str(path), FOR_EVER_S)
    pass_on(sink, frames)
    sink.close()
    assert path.read_bytes() == b"".join(frame.body for frame in frames)


def test_the_end_of_the_reader_ends_the_consumer_with_and_without_frames(tmp_path: Path) -> None:
    for name, frames in (("a", []), ("b", encoded(3))):
        with piped(tmp_path / name) as (sink, reader):
            assert sink.tick()
            reader.leave()
            pass_on(sink, frames)
            assert not sink.tick()


def test_a_reader_that_does_not_read_keeps_nobody_and_gets_whole_frames_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = encoded(300, of=Codec.JPEG, size=(320, 240))
    with piped(tmp_path / "fifo") as (sink, reader):
        pass_on(sink, frames)
        left_out = sink.left_out
        assert left_out > 0
        assert sink.tick()
        text = f"pipe:{tmp_path}/fifo: what reads it is too slow, frames left out so far: {left_out}"
        assert caplog.messages == [text]
        reader.start()
    data, whole = reader.join(), 0
    for frame in frames:
        if data.startswith(frame.body):
            data, whole = data[len(frame.body) :], whole + 1
    assert (data, whole) == (b"", len(frames) - left_out)


def test_what_waits_too_long_is_left_out_up_to_the_next_keyframe(tmp_path: Path) -> None:
    frames = encoded(30, size=(320, 240), gop_s=1.0)
    with piped(tmp_path / "fifo", max_age_s=0) as (sink, reader):
        reader.start()
        pass_on(sink, frames)
    assert reader.join() == b""
    assert sink.left_out == 30


def test_the_end_of_a_consumer_does_not_wait_for_a_reader_that_does_not_read(tmp_path: Path) -> None:
    with piped(tmp_path / "fifo", patience_s=0.5) as (sink, reader):
        pass_on(sink, encoded(2, of=Codec.RAW, size=(320, 240)))
    reader.start()
    assert 0 < len(reader.join()) < 2 * 320 * 240 * 3


@pytest.mark.parametrize(
    ("other", "kind"),
    [(encoded(1, size=(96, 64), of=Codec.RAW), "raw 96x64"), (encoded(1, of=Codec.JPEG), "jpeg")],
)
def test_a_reader_is_not_given_what_it_cannot_tell_apart(
    tmp_path: Path, other: list[EncodedFrame], kind: str
) -> None:
    sink = PipeSink(str(tmp_path / "f"), FOR_EVER_S)
    pass_on(sink, [*encoded(1, of=Codec.RAW), *other])
    with pytest.raises(SinkError) as ended:
        sink.close()
    assert str(ended.value) == (
        f"pipe:{tmp_path}/f cannot go on: the stream was raw 64x48, and is {kind} now"
    )


def test_a_transport_stream_of_pictures_ends_with_one_line(tmp_path: Path) -> None:
    sink = PipeSink(str(tmp_path / "f.ts"), FOR_EVER_S)
    pass_on(sink, encoded(1, of=Codec.JPEG))
    with pytest.raises(SinkError, match="MPEG-TS holds h264 only: stream cam is jpeg"):
        sink.close()


def test_a_damaged_body_is_left_out_with_all_that_refers_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = encoded(40)
    damaged = replace(frames[0], body=b"nothing")
    path = tmp_path / "f.ts"
    sink = PipeSink(str(path), FOR_EVER_S)
    pass_on(sink, [damaged, *frames[1:]])
    sink.close()
    assert sink.left_out == 15
    assert "frame left out: h264 body cannot be written to MPEG-TS" in caplog.text
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 25


def test_what_cannot_be_written_is_refused_at_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        PipeSink(str(tmp_path / "nope" / "f"), 0.5)
    assert str(refused.value) == (
        f"--sink 'pipe:{tmp_path}/nope/f' cannot be used: "
        "allowed is a file that can be written (No such file or directory)"
    )
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="a FIFO, and nobody reads it: start its reader first"):
        PipeSink(str(tmp_path / "fifo"), 0.5)
