"""URL sources and OpenCV against a real ffmpeg on loopback: pictures, stalls, failures and returns."""

from __future__ import annotations

import functools
import http.server
import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import av
import pytest

from fanlight.common.codec.picture import size_of
from fanlight.common.model.errors import SourceError
from fanlight.producer.source import make_source
from fanlight.producer.source.base import Captured, Source
from fanlight.producer.source.camera import CameraSource
from fanlight.producer.source.media import UrlSource
from fanlight.producer.stats import Drop
from scripts.lib.ports import free_ports
from tests.support.media_server import CLIP, MediaServer, mjpeg_over_http, mpegts_over_tcp
from tests.support.timing import scaled

pytestmark = pytest.mark.brokerless

ServerMaker = Callable[[], AbstractContextManager[MediaServer]]
BOTH = pytest.mark.parametrize("serve", [mpegts_over_tcp, mjpeg_over_http])


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that accepts connections and never sends anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def web_folder(tmp_path: Path) -> Iterator[str]:
    """A plain web server with the clip, its index in front, as `clip.mp4`."""
    remux = ["-c:v", "copy", "-an", "-movflags", "+faststart", str(tmp_path / "clip.mp4")]
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", str(CLIP), *remux], check=True)
    handler = functools.partial(_QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def url_source(url: str, stall_s: float = 3.0) -> UrlSource:
    return UrlSource(url, open_s=scaled(20), stall_s=scaled(stall_s))


def read_some(source: Source, count: int) -> list[Captured]:
    captured = [source.read() for _ in range(count)]
    assert None not in captured
    return [picture for picture in captured if picture is not None]


def test_mpegts_arrives_whole_in_order_and_at_its_own_rate() -> None:
    with mpegts_over_tcp() as server:
        source = url_source(server.url)
        began_ns = time.time_ns()
        source.open()
        pictures = read_some(source, 50)
        source.close()
    assert source.live
    assert source.fps == 25
    assert {size_of(p.picture) for p in pictures} == {(1280, 720)}
    times = [p.capture_ns for p in pictures]
    assert times == sorted(times)
    # 50 pictures at 25 fps; a source that is not paced by the network would need milliseconds.
    assert (times[-1] - began_ns) / 1e9 > 1.0
    timestamps = [p.picture.pts for p in pictures if isinstance(p.picture, av.VideoFrame)]
    assert len(timestamps) == 50
    assert all(a is not None and b is not None and a < b for a, b in itertools.pairwise(timestamps))


def test_mjpeg_over_http_arrives_at_the_size_that_is_served() -> None:
    with mjpeg_over_http("641x481", fps=10) as server:
        source = url_source(server.url)
        source.open()
        pictures = read_some(source, 10)
        source.close()
    assert {size_of(p.picture) for p in pictures} == {(641, 481)}


@BOTH
def test_a_stream_that_dies_is_one_line_and_is_read_again_when_it_is_back(serve: ServerMaker) -> None:
    with serve() as server:
        source = url_source(server.url)
        source.open()
        read_some(source, 5)
        server.kill()
        with pytest.raises(SourceError, match=rf"^{server.url}: the stream (ended|broke off \(.*\))$"):
            read_until_failure(source)
        with pytest.raises(SourceError, match="Connection refused"):
            source.open()
        server.start()
        source.close()
        source.open()
        assert len(read_some(source, 5)) == 5
        source.close()


@BOTH
def test_a_stream_that_stalls_fails_and_is_read_again_when_it_is_back(serve: ServerMaker) -> None:
    with serve() as server:
        source = url_source(server.url, stall_s=1)
        source.open()
        read_some(source, 5)
        server.stall()
        with pytest.raises(SourceError, match=f"{server.url}: no frame for {scaled(1):g} s"):
            read_until_failure(source)
        server.start()
        source.close()
        source.open()
        assert len(read_some(source, 5)) == 5
        source.close()


def test_a_server_that_never_answers_fails_in_time(silent_url: str) -> None:
    source = UrlSource(silent_url, open_s=scaled(0.5))
    with pytest.raises(SourceError, match=f"^{silent_url}: no answer for {scaled(0.5):g} s$"):
        source.open()
    source.close()


def test_a_refused_connection_is_reported_without_the_password() -> None:
    (port,) = free_ports(1)
    source = url_source(f"http://admin:hunter2@127.0.0.1:{port}/cam?token=abc")
    with pytest.raises(SourceError) as refused:
        source.open()
    assert str(refused.value) == f"http://***@127.0.0.1:{port}/cam?token=***: Connection refused"


def test_the_process_ends_on_a_signal_although_ffmpeg_still_blocks(silent_url: str) -> None:
    program = (
        "import signal, sys\n"
        "from fanlight.producer.source.media import UrlSource\n"
        "source = UrlSource(sys.argv[1], open_s=600)\n"
        "signal.signal(signal.SIGINT, lambda *_: source.interrupt())\n"
        "print('opening', flush=True)\n"
        "source.open()\n"
        "source.close()\n"
        "print('done' if source.read() is None else 'picture')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, silent_url], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "opening\n"
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=scaled(10))  # not 600 s
    finally:
        child.kill()
        child.wait()
    assert (output, child.returncode) == ("done\n", 0)


def test_a_file_on_a_web_server_plays_like_a_file(web_folder: str) -> None:
    source = make_source(f"http://{web_folder}/clip.mp4", loop=False, fps=100, size=None)
    began_ns = time.time_ns()
    source.open()
    assert not source.live
    assert source.fps == 100
    pictures = list(iter(source.read, None))
    source.close()
    # Only the newest is kept here too, so a busy machine may skip some of the 132.
    assert len(pictures) + source.drops[Drop.SKIPPED] == 132
    assert (pictures[-1].capture_ns - began_ns) / 1e9 > 1.3


def test_what_a_web_server_does_not_have_is_one_line(web_folder: str) -> None:
    source = url_source(f"http://u:secret@{web_folder}/missing.mp4")
    with pytest.raises(SourceError, match=rf"^http://\*\*\*@{web_folder}/missing.mp4: .*404"):
        source.open()


def test_a_camera_that_hangs_inside_opencv_fails_in_time() -> None:
    with mpegts_over_tcp() as server:
        camera = CameraSource(server.url, open_s=scaled(20), stall_s=scaled(1))
        camera.open()
        read_some(camera, 5)
        server.stall()
        with pytest.raises(SourceError, match=f"no frame for {scaled(1):g} s"):
            read_until_failure(camera)
        server.kill()
        camera.close()


def test_an_audio_file_with_a_cover_is_not_a_video(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    inputs = ["-i", str(CLIP), "-map", "0:a", "-map", "0:v", "-frames:v", "1", "-t", "1"]
    encoding = ["-c:a", "libmp3lame", "-c:v", "mjpeg", "-disposition:v", "attached_pic"]
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *inputs, *encoding, str(song)], check=True)
    with pytest.raises(SourceError, match="there is no video in it"):
        make_source(str(song), loop=False, fps=None, size=None).open()


def read_until_failure(source: Source) -> None:
    """Read on until the source raises; what was still under way is read first."""
    deadline = time.monotonic() + scaled(30)
    while time.monotonic() < deadline:
        assert source.read() is not None
    pytest.fail("the source neither failed nor ended")
