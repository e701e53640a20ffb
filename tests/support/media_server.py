"""A network camera to test against: a real `ffmpeg` that serves real footage on a loopback port.

It serves one client and then exits, so restart it before each connect. What it cannot show: lost UDP
packets, RTSP, and a network that is slow rather than silent.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from scripts.lib.ports import free_ports
from tests.support.timing import wait_until

CLIP = Path(__file__).parents[1] / "media" / "bigbuckbunny-720p.mp4"


class MediaServer:
    """One command line of ffmpeg that can be started, stalled, killed and started again.

    Attributes:
        url: where it listens; the same for every start.
    """

    def __init__(self, url: str, output: Sequence[str]) -> None:
        self.url = url
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it listens."""
        self.kill()
        command = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(CLIP), "-an"]
        process = subprocess.Popen([*command, *self._output], stderr=subprocess.PIPE)
        self._process = process
        wait_until(lambda: process.poll() is not None or _listens(process.pid), 20, "ffmpeg listens")
        if process.poll() is not None:
            raise AssertionError(f"ffmpeg failed: {process.communicate()[1].decode()}")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stall(self) -> None:
        """Keep the connection and send nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)


@contextmanager
def mpegts_over_tcp(*encoding: str) -> Iterator[MediaServer]:
    """H.264 in MPEG-TS, as it is in the clip (1280x720 at 25 fps) unless `encoding` says otherwise."""
    address = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    video = encoding or ("-c:v", "copy")
    with _running(MediaServer(address, [*video, "-f", "mpegts", f"{address}?listen=1"])) as server:
        yield server


@contextmanager
def mjpeg_over_http(size: str = "640x360", fps: int = 15) -> Iterator[MediaServer]:
    """Multipart JPEG, as many network cameras serve it."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}/cam.mjpg"
    multipart = ["-f", "mpjpeg", "-content_type", "multipart/x-mixed-replace;boundary=ffmpeg"]
    # Without `setsar` FFmpeg would note the shape of the film, to which the pictures are to be stretched.
    square = f"scale={size.replace('x', ':')},setsar=1"
    encoding = ["-c:v", "mjpeg", "-q:v", "4", "-vf", square, "-r", str(fps)]
    with _running(MediaServer(url, [*encoding, *multipart, "-listen", "1", url])) as server:
        yield server


@contextmanager
def _running(server: MediaServer) -> Iterator[MediaServer]:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (apt-get install ffmpeg)")
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _listens(pid: int) -> bool:
    """Asked of the kernel: a connection to find out would take the place of the one client."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(connection.status == psutil.CONN_LISTEN for connection in connections)
