"""Cameras and URLs that stall, flood, send garbage or change their size; pictures that cannot be encoded.

No camera device is tested: this kernel has neither `vivid` nor `v4l2loopback`. What a device has in common
with a URL (a thread of its own, a time limit for pictures) is tested in tests/integration.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from math import isnan, nan
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from fanlight.common.model.errors import EncodeError
from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer, Frame
from fanlight.producer import Producer
from tests.support import watching
from tests.support.broker import tcp_url
from tests.support.commands import Command, running
from tests.support.faulty_camera import FaultyCamera, age_s, faulty_camera
from tests.support.timing import scaled, wait_until
from tests.support.watching import Observation

MAX_AGE_S = 0.5
# Soon; and what a busy machine adds.
RECOVERY_S = 5.0


class Watcher(watching.Watcher):
    """Ages are read off the pictures."""

    def observe(self, frame: Frame) -> Observation:
        age = age_s(frame.image)
        return replace(super().observe(frame), age_s=nan if age is None else age)

    def wait_drawn(self, what: str, width: int | None = None) -> None:
        """Soon a picture (of that width) that the camera draws after this; and it goes on."""
        now_s = time.monotonic()

        def drawn() -> list[Observation]:
            recent = [seen for seen in self.after(now_s) if width in (None, seen.shape[1])]
            return [seen for seen in recent if seen.at_s - seen.age_s > now_s]

        wait_until(drawn, RECOVERY_S, what)
        wait_until(lambda: len(drawn()) >= 15, 10, what)


@contextmanager
def watched(source: str, stream: str, *more: str) -> Iterator[tuple[Command, Watcher]]:
    url = tcp_url("multiplex")
    with running("producer", "--url", url, "--stream", stream, "--source", source, *more) as producer:
        producer.wait_line("listening")
        with Watcher(Consumer(stream=stream, url=url, max_age_s=MAX_AGE_S)) as watcher:
            wait_until(lambda: watcher.seen, 20, "frames come")
            yield producer, watcher
        assert "Traceback" not in producer.err.text


@pytest.fixture
def camera() -> Iterator[FaultyCamera]:
    with faulty_camera() as camera:
        yield camera


def test_a_camera_changes_its_size_sends_garbage_stalls_and_returns(
    camera: FaultyCamera, stream: str
) -> None:
    with watched(camera.url, stream) as (producer, watcher):
        for size, width in (("480x270", 480), ("321x181", 321), ("320x180", 320)):
            camera.command(f"size {size}")
            watcher.wait_drawn(size, width)
        # The demuxer skips garbage between two pictures silently, until it takes some of it for a picture.
        for _ in range(6):
            camera.command("garbage 300000")
            if producer.err.wait_for(lambda text: "undecodable packet skipped" in text, scaled(2)):
                break
        else:
            raise AssertionError(f"the producer never logged what it skipped:\n{producer.err.text}")
        watcher.wait_drawn("after garbage")
        camera.suspend()
        producer.wait_line("no frame for 3 s; attempt 2")
        camera.resume()
        watcher.wait_drawn("after a stall")
        producer.wait_line("source: connected to")
        seqs = [seen.seq for seen in watcher.seen]
        assert seqs == sorted(set(seqs))
        assert not any(isnan(seen.age_s) for seen in watcher.seen), "a picture is torn"
    assert len(producer.err.lines) < 12, producer.err.text


def test_a_flood_does_not_make_pictures_old(camera: FaultyCamera, stream: str) -> None:
    """Megabytes lie in the buffers between; a reader that decodes them all shows them after seconds."""
    with watched(camera.url, stream) as (_producer, watcher):
        camera.command("repeat 20")
        camera.command("fps 100000")
        for number in range(5):
            watcher.wait_drawn(f"picture {number} of the flood")
        camera.command("repeat 1")
        camera.command("fps 25")
        watcher.wait_drawn("after the flood")
        assert not any(isnan(seen.age_s) for seen in watcher.seen), "a picture is torn"


class LoopingServer:
    """Serves MPEG-TS over TCP, each piece in a second, over and over."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="looping server")
        self._thread.start()

    def end(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        with client:
            try:
                while True:
                    for piece in self._pieces:
                        step = -(-len(piece) // 188 // 25) * 188
                        for at in range(0, len(piece), step):
                            client.sendall(piece[at : at + step])
                            if self._stopping.wait(0.04):
                                return
            except OSError:
                pass


@pytest.fixture
def looping(tmp_path: Path) -> Iterator[LoopingServer]:
    """H.264 whose size changes every second, with broken bytes in one of them."""
    pieces = []
    for size in ("320x180", "480x270"):
        path = tmp_path / f"{size}.ts"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-t", "1"]
        x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]
        subprocess.run([*command, *x264, "-pix_fmt", "yuv420p", "-f", "mpegts", str(path)], check=True)
        pieces.append(path.read_bytes())
    half = len(pieces[0]) // 2
    broken = pieces[0][:half] + bytes(np.random.default_rng(7).integers(0, 256, 5000, np.uint8))
    server = LoopingServer([*pieces, broken + pieces[0][half:], pieces[1]])
    yield server
    server.end()


def test_every_sink_follows_an_h264_stream_that_changes_its_size(
    looping: LoopingServer, stream: str, tmp_path: Path
) -> None:
    url, trace = tcp_url("threads"), tmp_path / "t.csv"
    with ExitStack() as stack:

        def start(program: str, *flags: str) -> Command:
            return stack.enter_context(running(program, "--url", url, "--stream", stream, *flags))

        producer = start("producer", "--source", looping.url)
        producer.wait_line("listening")
        hub = start("consumer", "--name", "hub", "--sink", "share")
        plain = start(
            "consumer", "--name", "plain", "--sink", f"trace:{trace}",
            "--sink", f"record:{tmp_path}/r.mkv", "--sink", f"snapshot:{tmp_path}/s.png",
        )  # fmt: skip
        program = Consumer(stream=stream, name="program", url=url, size=(160, 90), format="grey")
        watcher = stack.enter_context(Watcher(program))
        wait_until(lambda: len(list(tmp_path.glob("r*.mkv"))) >= 5, 40, "five sizes are recorded")
        plain.signal(signal.SIGTERM)
        assert plain.wait(10) == 0, plain.err.text
        for command in (hub, producer):
            command.signal(signal.SIGTERM)
            assert command.wait(10) == 0, command.err.text
    sizes = []
    for number in range(1, 5):
        with av.open(str(tmp_path / ("r.mkv" if number == 1 else f"r-{number}.mkv"))) as recording:
            shapes = {(frame.width, frame.height) for frame in recording.decode(video=0)}
            assert len(shapes) == 1
            sizes.append(shapes.pop())
    assert set(sizes) == {(320, 180), (480, 270)}
    assert all(early != later for early, later in pairwise(sizes))
    events = [row.rsplit(",", 1)[1] for row in trace.read_text().splitlines()[1:]]
    assert "undecodable" not in events
    assert "presented" in events
    assert {seen.shape[1] for seen in watcher.seen} == {160}
    assert len(hub.err.text.split("slots")) > 4, "a segment for every size"
    for command in (producer, hub, plain):
        assert "Traceback" not in command.err.text, command.err.text


TOO_LARGE = "raw 2400x2400 is 17.3 MB: allowed is up to 16.8 MB a frame, use --codec h264"


def test_pictures_that_cannot_be_encoded_are_dropped(stream: str) -> None:
    url = tcp_url("multiplex")
    image = np.zeros((90, 160, 3), np.uint8)
    with (
        # However slow the machine is, no frame is lost for being late.
        Producer(stream=stream, url=url, fps=30, codec="raw", max_age_s=10) as producer,
        Watcher(Consumer(stream=stream, url=url, max_age_s=10)) as watcher,
    ):

        def send_until(picture: Pixels, enough: Callable[[], bool]) -> None:
            def sent() -> bool:
                producer.send(picture)
                return enough()

            wait_until(sent, 20)

        send_until(image, lambda: len(watcher.seen) > 10)
        send_until(np.zeros((2400, 2400, 3), np.uint8), lambda: producer.stats().unencodable > 2)
        good_s = time.monotonic()
        send_until(image, lambda: len(watcher.after(good_s)) > 5)
        tiny_s = time.monotonic()
        send_until(
            np.zeros((1, 1, 3), np.uint8), lambda: any(s.shape[1] == 1 for s in watcher.after(tiny_s))
        )
        assert producer.failure is None
        assert watcher.consumer.stats().undecodable == 0
        assert watcher.consumer.stats().lost == 0


@pytest.mark.parametrize("bad", ["one", "all"])
def test_a_folder_with_pictures_that_cannot_be_encoded(bad: str, stream: str, tmp_path: Path) -> None:
    large = simplejpeg.encode_jpeg(np.zeros((2400, 2400, 3), np.uint8), 80, "BGR")
    small = simplejpeg.encode_jpeg(np.zeros((90, 160, 3), np.uint8), 80, "BGR")
    for number in range(4):
        data = large if number == 2 or bad == "all" else small
        (tmp_path / f"{number}.jpg").write_bytes(data)
    url = tcp_url("threads")
    flags = ("--source", str(tmp_path), "--loop", "--fps", "10", "--codec", "raw")
    with (
        running("producer", "--url", url, "--stream", stream, *flags) as producer,
        Watcher(Consumer(stream=stream, url=url)) as watcher,
    ):
        producer.wait_line(f"picture dropped: {TOO_LARGE}")
        if bad == "one":
            watcher.wait_flow()
            producer.signal(signal.SIGTERM)
            assert producer.wait(10) == 0
            assert "could not be encoded" in producer.err.text
        else:
            assert producer.wait(30) == 1
            end = producer.err.lines[-1]
            assert end.text == f"producer: {TOO_LARGE}"
            # At most one line a second: it does not give up at the first.
            assert producer.err.text.count(f"picture dropped: {TOO_LARGE}") >= 2
    assert len(producer.err.lines) < 15


def test_a_program_whose_pictures_cannot_be_encoded_gets_an_error(stream: str) -> None:
    url = tcp_url("threads")
    large = np.zeros((2400, 2400, 3), np.uint8)
    with (
        Producer(stream=stream, url=url, fps=30, codec="raw") as producer,
        Watcher(Consumer(stream=stream, url=url)),
    ):

        def failed() -> bool:
            try:
                producer.send(large)
            except EncodeError as error:
                return str(error) == TOO_LARGE
            return False

        wait_until(failed, 20)
