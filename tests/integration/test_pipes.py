"""Standard input and named pipes as sources, written to by a real ffmpeg."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from fanlight.common.codec.picture import size_of
from fanlight.common.model.errors import SourceError
from fanlight.producer.source import make_source
from fanlight.producer.source.base import Captured
from fanlight.producer.source.pipe import PipeSource
from fanlight.producer.stats import Drop
from tests.support.broker import tcp_url
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.brokerless

H264 = (
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-g",
    "10",
    "-pix_fmt",
    "yuv420p",
)
FORMATS = {
    "H.264, as raspivid writes it": (*H264, "-f", "h264"),
    "MPEG-TS": (*H264, "-f", "mpegts"),
    "JPEG after JPEG": ("-c:v", "mjpeg", "-f", "image2pipe"),
    "MJPEG": ("-c:v", "mjpeg", "-f", "mjpeg"),
    # Else FFmpeg writes ten pictures at once.
    "Matroska": (*H264, "-f", "matroska", "-live", "1", "-cluster_time_limit", "1", "-flush_packets", "1"),
}


@contextmanager
def camera(output: str | int, *encoding: str, seconds: float = 60) -> Iterator[None]:
    """A program that writes 20 pictures a second to a path, or to a descriptor."""
    source = ("-f", "lavfi", "-i", "testsrc=size=320x240:rate=20")
    command = ["ffmpeg", "-y", "-v", "error", "-nostdin", "-re", *source, "-t", str(seconds), *encoding]
    to_path = isinstance(output, str)
    writer = subprocess.Popen(
        [*command, str(output) if to_path else "-"],
        stdout=None if isinstance(output, str) else output,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        writer.kill()
        writer.wait()


def read(source: PipeSource, count: int) -> list[Captured]:
    found = [source.read() for _ in range(count)]
    return [captured for captured in found if captured is not None]


@pytest.mark.parametrize("encoding", FORMATS.values(), ids=FORMATS)
def test_what_a_program_pipes_is_shown_until_it_ends(encoding: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    source = PipeSource(reader, "standard input")
    with camera(writer, *encoding, seconds=2):
        os.close(writer)
        source.open()
        pictures = list(iter(source.read, None))
    source.close()
    os.close(reader)
    assert {size_of(captured.picture) for captured in pictures} == {(320, 240)}
    # A loaded machine skips some, and shows the one that came last.
    assert len(pictures) >= 2
    assert len(pictures) + source.drops[Drop.SKIPPED] > 20
    assert not source.live


def test_a_reader_that_was_slow_continues_with_the_newest() -> None:
    reader, writer = os.pipe()
    source = PipeSource(reader, "standard input")
    with camera(writer, *FORMATS["H.264, as raspivid writes it"]):
        os.close(writer)
        source.open()
        assert len(read(source, 1)) == 1
        wait_until(lambda: source.drops[Drop.SKIPPED] >= 20, 30, "pictures that nobody took")
        since_ns = time.time_ns()
        wait_until(lambda: source.drops[Drop.SKIPPED] >= 40, 30, "more of them")
        newest = read(source, 1)[0]
        source.close()
    os.close(reader)
    assert newest.capture_ns > since_ns, "the newest, not the next"


def test_a_named_pipe_is_waited_for_and_read_again_by_the_next_writer(tmp_path: Path) -> None:
    fifo = tmp_path / "video.pipe"
    os.mkfifo(fifo)
    source = make_source(str(fifo), loop=False, fps=None, size=None)
    assert isinstance(source, PipeSource)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            opening = pool.submit(source.open)
            with camera(str(fifo), *FORMATS["MPEG-TS"], seconds=1):
                opening.result(timeout=scaled(30))
                with pytest.raises(SourceError, match=rf"^{fifo}: the stream ended$"):
                    list(iter(source.read, None))
                assert source.live
            source.close()


@pytest.mark.parametrize("at", ["open", "read"])
def test_an_interrupt_ends_the_wait_for_a_writer(tmp_path: Path, at: str) -> None:
    fifo = tmp_path / "video.pipe"
    os.mkfifo(fifo)
    source = PipeSource(str(fifo), "video.pipe")
    before = set(threading.enumerate())
    descriptors = os.listdir("/proc/self/fd")
    with ThreadPoolExecutor(1) as pool:
        if at == "read":
            opening = pool.submit(source.open)
            with camera(str(fifo), *FORMATS["MPEG-TS"], seconds=1):
                opening.result(timeout=scaled(30))
                with pytest.raises(SourceError, match="the stream ended"):
                    list(iter(source.read, None))
        waiting = pool.submit(source.open)
        source.interrupt()
        waiting.result(timeout=scaled(10))
    source.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(scaled(10))
        assert not thread.is_alive(), "no thread is left in a read"
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= len(descriptors), 20, "all are closed")


def test_a_pipe_without_a_video_is_one_line() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"not a video at all\n" * 100)
    os.close(writer)
    source = PipeSource(reader, "standard input")
    with pytest.raises(
        SourceError, match=r"^standard input: not a video, or damaged: FFmpeg cannot read it$"
    ):
        source.open()
    assert not source.live, "there is no second standard input"
    source.close()
    os.close(reader)


def test_the_command_reads_what_is_piped_into_it_and_ends_with_it() -> None:
    command = [sys.executable, "-m", "producer", "--source", "-", "--url", tcp_url("multiplex")]
    reader, writer = os.pipe()
    with camera(writer, *FORMATS["MJPEG"], seconds=1):
        os.close(writer)
        child = subprocess.run(
            command, stdin=reader, capture_output=True, text=True, timeout=scaled(60), check=False
        )
    os.close(reader)
    assert child.returncode == 0, child.stderr
    assert "source standard input ended after" in child.stderr
