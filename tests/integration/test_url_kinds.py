"""What a URL turns out to be: a recording, a still picture, variants, a slow camera, an SDP file."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from fanlight.common.codec.picture import size_of
from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.producer.source import make_source
from fanlight.producer.source.base import Captured, Source
from fanlight.producer.source.media import UrlSource
from fanlight.producer.stats import Drop
from scripts.lib.ports import free_ports
from tests.support.timing import scaled, wait_until
from tests.support.web import Handler, folder, jpeg, send, serving, slow_camera

pytestmark = pytest.mark.brokerless

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def ffmpeg(*arguments: str, cwd: Path) -> None:
    subprocess.run(["ffmpeg", "-y", "-v", "error", "-nostdin", *arguments], cwd=cwd, check=True)


def pattern(seconds: float, rate: int = 10, size: str = "320x240") -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}:duration={seconds}")


def made(url: str, **options: Any) -> Source:
    given: dict[str, Any] = {"loop": False, "fps": None, "size": None, "stall_s": scaled(20)}
    return make_source(url, **given | options)


def read(source: Source, count: int) -> list[Captured]:
    found = [source.read() for _ in range(count)]
    return [captured for captured in found if captured is not None]


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("name", ["clip.webm", "clip.ts"])
@pytest.mark.parametrize("loop", [False, True])
def test_a_recording_without_a_duration_is_fetched_once_and_paced(
    tmp_path: Path, name: str, loop: bool
) -> None:
    encoding = X264 if name == "clip.ts" else ("-c:v", "libvpx", "-deadline", "realtime", "-live", "1")
    ffmpeg(*pattern(2), *encoding, name, cwd=tmp_path)
    with serving(folder(tmp_path)) as web:
        source = made(f"{web.url}/{name}", loop=loop)
        began_ns = time.time_ns()
        source.open()
        assert not source.live
        pictures = read(source, 25) if loop else list(iter(source.read, None))
        source.close()
        fetched = len(web.asked)
    played = len(pictures) + source.drops[Drop.SKIPPED]  # a loaded machine skips some
    assert played >= 25 if loop else played == pytest.approx(20, abs=1)
    assert (pictures[-1].capture_ns - began_ns) / 1e9 > (2.2 if loop else 1.7)
    assert fetched <= (1 + played // 19 if loop else 1), "a loop seeks, or opens it again"


def without_length(path: Path, pause: threading.Event) -> Callable[[Handler], None]:
    """Answers with a file whose length is not said, and whose second half waits for `pause`."""

    def answer(request: Handler) -> None:
        body = path.read_bytes()
        request.send_response(200)
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        pause.wait(scaled(30))
        request.wfile.write(body[len(body) // 2 :])

    return answer


@pytest.mark.parametrize("loop", [False, True])
def test_a_recording_without_a_length_ends_without_an_error(tmp_path: Path, loop: bool) -> None:
    ffmpeg(*pattern(2), *X264, "clip.mkv", cwd=tmp_path)
    pause = threading.Event()
    pause.set()
    with serving(without_length(tmp_path / "clip.mkv", pause)) as web:
        source = made(f"{web.url}/", loop=loop, fps=100.0)
        source.open()
        assert not source.live
        played = len(read(source, 60))
        source.close()
    if not loop:
        played += source.drops[Drop.SKIPPED]
    assert played == (60 if loop else pytest.approx(20, abs=2))


def test_an_index_at_the_end_needs_a_server_that_supports_ranges(tmp_path: Path) -> None:
    ffmpeg(*pattern(20), *X264, "clip.mp4", cwd=tmp_path)
    with serving(folder(tmp_path)) as web:
        source = made(f"{web.url}/clip.mp4")
        source.open()
        with pytest.raises(
            SourceError, match=r"movflags \+faststart` needs a server that supports ranges$"
        ):
            source.read()
        source.close()


def test_a_camera_that_sends_fragmented_mp4_is_live(tmp_path: Path, stopping: threading.Event) -> None:
    fragments = ("-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", "10")
    ffmpeg(*pattern(6), *X264, *fragments, "live.mp4", cwd=tmp_path)
    with serving(without_length(tmp_path / "live.mp4", stopping)) as web:
        source = made(f"{web.url}/live.mp4")
        source.open()
        assert source.live
        assert len(read(source, 1)) == 1
        stopping.set()
        with pytest.raises(SourceError):
            list(iter(source.read, None))
        source.close()


def test_jpeg_after_jpeg_is_a_stream_and_no_still_picture(stopping: threading.Event) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    body = simplejpeg.encode_jpeg(noise, 80, "BGR", "420")  # of the size that a camera's have

    def answer(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.end_headers()
        while not stopping.wait(0.05):
            request.wfile.write(body)

    with serving(answer) as web:
        source = made(f"{web.url}/video")
        source.open()
        assert len(read(source, 15)) == 15
        source.close()
        stopping.set()
        assert len(web.asked) <= 2, "a still picture would be asked for again and again"


def test_a_pause_of_a_recording_is_no_stall(tmp_path: Path) -> None:
    pause = ("-vf", "select='lt(n,2)+gte(n,4)'", "-vsync", "vfr")
    ffmpeg(*pattern(5, rate=1), *pause, *X264, "clip.mp4", cwd=tmp_path)
    with serving(folder(tmp_path)) as web:
        source = UrlSource(f"{web.url}/clip.mp4", stall_s=scaled(1.0))
        began_ns = time.time_ns()
        source.open()
        pictures = list(iter(source.read, None))
        source.close()
    assert len(pictures) + source.drops[Drop.SKIPPED] == 3
    assert (pictures[-1].capture_ns - began_ns) / 1e9 > 3.9, "the pause lasted"


@pytest.mark.parametrize("name", ["snap.jpg", "snap.png", "cgi?camera=1"])
def test_a_still_picture_is_asked_for_at_the_rate_that_was_requested(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fanlight")
    body = jpeg()
    with serving(lambda request: send(request, body, "image/jpeg")) as web:
        source = made(f"{web.url}/{name}", fps=10.0)
        began_ns = time.monotonic_ns()
        source.open()
        pictures = read(source, 10)
        took_s = (time.monotonic_ns() - began_ns) / 1e9
        source.close()
        asked = len(web.asked)
    assert (len(pictures), source.fps, source.live) == (10, 10.0, True)
    assert took_s > 0.8
    assert 10 <= asked <= 10 * took_s + 5
    assert caplog.messages == [f"{source} is a still picture: asked for at 10 fps (--fps)"]


@pytest.mark.parametrize("chunked", [False, True], ids=["HTTP/1.0", "chunked"])
@pytest.mark.parametrize("name", ["snap.jpg", "cgi?camera=1"])
def test_a_still_picture_of_unknown_length_is_shown(name: str, chunked: bool) -> None:
    body = jpeg(1)

    def answer(request: Handler) -> None:
        if chunked:
            request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        if chunked:
            request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
        request.close_connection = True

    with serving(answer) as web:
        source = made(f"{web.url}/{name}", fps=10.0)
        source.open()
        assert len(read(source, 3)) == 3
        source.close()


def test_a_still_picture_that_breaks_off_is_an_error_that_passes() -> None:
    bodies = [jpeg(1), b"", jpeg(2)]
    with serving(lambda request: send(request, bodies.pop(0), "image/jpeg")) as web:
        source = made(f"{web.url}/snap.jpg", fps=10.0)
        source.open()
        assert len(read(source, 1)) == 1
        with pytest.raises(SourceError):
            source.read()
        source.close()
        source.open()
        assert len(read(source, 1)) == 1
        source.close()


SIZES = ("320x180", "640x360", "1280x720")


@pytest.fixture(scope="module")
def playlists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HLS master playlist of three variants, and segments of 2 s."""
    split = "[0:v]split=3[a][b][d];[a]scale=320:180[x];[b]scale=640:360[y]"
    maps = ("-map", "[x]", "-map", "[y]", "-map", "[d]")
    rates = ("-b:v:0", "200k", "-b:v:1", "500k", "-b:v:2", "1M")
    hls = ("-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-master_pl_name", "master.m3u8")
    variants = ("-var_stream_map", "v:0 v:1 v:2", "v%v.m3u8")
    source = pattern(6, 25, "1280x720")
    made = tmp_path_factory.mktemp("playlists")
    ffmpeg(*source, "-filter_complex", split, *maps, *X264, "-g", "50", *rates, *hls, *variants, cwd=made)
    return made


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, "1280x720"),
        ({"size": (640, 360)}, "640x360"),
        ({"size": (400, 300)}, "640x360"),
        ({"size": (1920, 1080)}, "1280x720"),
        ({"max_pixels": 640 * 360}, "640x360"),
    ],
)
def test_of_several_variants_the_best_that_fits_is_fetched_alone(
    playlists: Path, options: dict[str, Any], chosen: str
) -> None:
    with serving(folder(playlists)) as web:
        source = made(f"{web.url}/master.m3u8", fps=100.0, **options)
        source.open()
        shown = {"{}x{}".format(*size_of(captured.picture)) for captured in iter(source.read, None)}
        source.close()
        segments = [path for path in web.asked if path.endswith(".ts")]
    number = SIZES.index(chosen)
    assert shown == {chosen}
    assert {path for path in segments if path.startswith(f"/v{number}")} == {
        f"/v{number}{n}.ts" for n in range(3)
    }
    assert len({path for path in segments if not path.startswith(f"/v{number}")}) <= 2


def test_a_slow_camera_is_read_over_one_connection(stopping: threading.Event) -> None:
    with serving(slow_camera(3.4, stopping)) as web:
        source = UrlSource(f"{web.url}/", open_s=scaled(10), stall_s=scaled(20))
        source.open()
        assert len(read(source, 3)) == 3
        source.close()
        assert len(web.asked) == 1
        stopping.set()


def test_small_pictures_of_a_slow_camera_are_shown_at_the_second_attempt(stopping: threading.Event) -> None:
    with serving(slow_camera(3600, stopping)) as web:
        source = UrlSource(f"{web.url}/", open_s=scaled(1.0))
        with pytest.raises(SourceError, match=f"no answer for {scaled(1):g} s"):
            source.open()
        source.close()
        source.open()
        assert len(read(source, 1)) == 1
        source.close()
        assert len(web.asked) == 2
        stopping.set()


def test_a_session_description_on_disk_is_received(tmp_path: Path) -> None:
    port = free_ports(1)[0] // 2 * 2
    sdp = tmp_path / "cam.sdp"
    # In-band parameter sets: the description may be older than the stream.
    encoding = (*X264, "-g", "10", "-tune", "zerolatency", "-bsf:v", "dump_extra")
    out = ("-f", "rtp", "-sdp_file", str(sdp), f"rtp://127.0.0.1:{port}")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-re", *pattern(60), *encoding, *out]
    sender = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: sdp.exists() and "m=video" in sdp.read_text(), 20, "it is described")
        assert sender.poll() is None
        source = made(str(sdp))
        source.open()
        assert source.live
        assert len(read(source, 5)) == 5
        source.close()
    finally:
        sender.kill()
        sender.wait()


def test_a_session_description_opens_nothing_else(tmp_path: Path) -> None:
    sdp = tmp_path / "cam.sdp"
    with serving(lambda request: send(request, jpeg())) as web:
        sdp.write_text(f"#EXTM3U\n#EXTINF:10,\n{web.url}/x.ts\n")
        source = made(str(sdp))
        with pytest.raises((SourceError, ConfigError)):
            source.open()
        source.close()
        assert web.asked == []
