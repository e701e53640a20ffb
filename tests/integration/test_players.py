"""Players and other programs, real ones: each line of docs/players.md, and how a pipe ends."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import av
import pytest

from scripts.lib.ports import free_ports
from tests.support.broker import tcp_url
from tests.support.commands import ROOT, clean_environment, running
from tests.support.timing import scaled, wait_until
from tests.support.users import as_nobody

pytestmark = pytest.mark.brokerless

PAGE: Final = (ROOT / "docs" / "players.md").read_text()
LINES: Final = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
SIZE: Final = (320, 180)
# What a line needs to run without a screen, and to end.
HEADLESS: Final = {
    "autovideosink": "fakesink num-buffers=10",
    "mpv ": "mpv --no-config --vo=null --ao=null --frames=10 ",
    "cvlc ": "exec cvlc --vout=dummy --aout=dummy --no-drop-late-frames --no-skip-frames "
    "--video-filter=scene --scene-format=png --scene-replace --scene-path=. ",
}
# What it prints if it gets pictures; the others write a file, or end only after ten pictures.
PRINTED: Final = {
    "ffprobe": "codec_name=h264\nwidth=320\nheight=180",
    "mpv": "320x180",
    "python -c": "(180, 320, 3)",
}


class Camera(NamedTuple):
    """A running producer, and a wall.

    Attributes:
        url: of the producer.
        place: HOST:PORT of the wall.
    """

    url: str
    place: str


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    url = tcp_url("threads")
    place = f"127.0.0.1:{free_ports(1)[0]}"
    with (
        running("producer", "--url", url, "--size", "{}x{}".format(*SIZE)) as producer,
        running("consumer.wall", "--listen", place, "--url", url) as wall,
    ):
        producer.wait_line("listening")
        wall.wait_line(f"http://{place}/")
        wait_until(lambda: status(place, "/s/cam.jpg") == 200, 20, "the wall shows the stream")
        yield Camera(url, place)


def status(place: str, path: str) -> int:
    connection = http.client.HTTPConnection(place, timeout=scaled(10))
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may write to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def environment(camera: Camera, folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "FANLIGHT_URL": camera.url}
    return {**clean_environment(), **ours}


def pictures_of(file: Path | str) -> list[tuple[int, int]]:
    """The sizes of the pictures at its beginning."""
    with av.open(str(file)) as container:
        decoded = container.decode(video=0)
        return [(picture.width, picture.height) for picture, _ in zip(decoded, range(5), strict=False)]


@pytest.mark.parametrize("line", LINES, ids=[re.sub(r"\W+", "-", line)[:60] for line in LINES])
def test_each_line_of_the_page_works(camera: Camera, folder: Path, line: str) -> None:
    for program in (part.split()[0] for part in line.split(" | ")):
        if shutil.which(program, path=environment(camera, folder)["PATH"]) is None:
            pytest.skip(f"{program} is not installed")
    command = line.replace("localhost:8080", camera.place)
    for words, headless in HEADLESS.items():
        command = command.replace(words, headless)
    if "cvlc" in line:
        look_at_vlc(command, camera, folder)
        return
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment(camera, folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(40),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words, printed in PRINTED.items():
        assert words not in line or printed in done.stdout
    written = list(folder.glob("[!.]*.*"))
    assert bool(written) == (" -o " in line or "-t 1" in line or ">" in line), done.stderr
    assert all(set(pictures_of(file)) == {SIZE} for file in written)


def look_at_vlc(command: str, camera: Camera, folder: Path) -> None:
    """VLC does not run for root, and writes each picture that it shows to a file."""
    process = subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(camera, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_nobody() if os.geteuid() == 0 else {},
    )
    try:
        wait_until(lambda: any(folder.glob("scene*.png")), 40, "VLC shows a picture")
    finally:
        process.kill()
        process.wait(scaled(10))


def test_the_page_has_a_line_for_each_program() -> None:
    programs = {part.split()[0] for line in LINES for part in line.split(" | ")}
    assert programs >= {"ffprobe", "ffmpeg", "mpv", "cvlc", "gst-launch-1.0", "python", "curl"}
    assert all(name in PAGE for name in ("OBS", "go2rtc", "Home Assistant"))


@pytest.mark.parametrize("ending", ["mp4", "ts", "h264", "mjpg"])
def test_a_program_that_opens_a_url_sees_the_stream(camera: Camera, ending: str) -> None:
    assert set(pictures_of(f"http://{camera.place}/s/cam.{ending}")) == {SIZE}


# Pipes -------------------------------------------------------------------------------------------------


def consumer(camera: Camera, sink: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "consumer", "--url", camera.url, "--sink", sink],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
    )


def test_a_consumer_ends_well_when_its_reader_ends_before_the_first_frame() -> None:
    nobody = Camera(tcp_url("threads"), "")
    process = consumer(nobody, "pipe:-")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(scaled(20)) == 0
    process.communicate()


def test_a_consumer_whose_reader_does_not_read_counts_and_ends_when_told(camera: Camera) -> None:
    process = consumer(camera, "pipe:-")
    assert process.stdout is not None
    assert process.stderr is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    while b"what reads it is too slow, frames left out so far: " not in (line := process.stderr.readline()):
        assert line, "it ended"
    process.send_signal(signal.SIGINT)
    assert process.wait(scaled(5)) == 0
    process.communicate()


def test_a_terminal_is_no_place_for_a_stream(camera: Camera) -> None:
    controller, terminal = pty.openpty()
    process = consumer(camera, "pipe:-", terminal)
    assert process.wait(scaled(20)) == 2
    _, errors = process.communicate()
    assert errors.decode().splitlines() == [
        "consumer: --sink 'pipe:-' cannot be used: "
        "standard output is a terminal: write `| PROGRAM` or `> FILE` after the command"
    ]
    for descriptor in (controller, terminal):
        os.close(descriptor)
