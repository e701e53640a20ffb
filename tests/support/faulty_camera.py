"""A network camera with faults on command: `python -m tests.support.faulty_camera`, a child process.

It serves multipart JPEG over HTTP and draws into every picture the monotonic time, in milliseconds: the age
of a picture can be read from its pixels, whatever its route.
Commands are lines on stdin; suspending the process is the stall of a camera that keeps its connections.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import simplejpeg

from fanlight.common.model.pixels import Pixels
from fanlight.producer.source.frame_code import MODULUS, draw_frame_number, read_frame_number

_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=next\r\n\r\n"


def age_s(image: Pixels) -> float | None:
    """The age of a picture of this camera; None if the time in it cannot be read."""
    number = read_frame_number(image)
    if number is None:
        return None
    return (time.monotonic_ns() // 1_000_000 - number) % MODULUS / 1000


class FaultyCamera:
    """The child process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faulty_camera"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/cam.mjpg"

    def command(self, command: str) -> None:
        """`size WxH`, `fps N`, `repeat N` (times every picture) or `garbage N` (bytes, once)."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def suspend(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def faulty_camera() -> Iterator[FaultyCamera]:
    camera = FaultyCamera()
    try:
        yield camera
    finally:
        camera.end()


class _Server:
    def __init__(self) -> None:
        self.size = (320, 180)
        self.fps = 25.0
        self.garbage = 0
        self.repeat = 1

    def apply(self, line: str) -> None:
        name, value = line.split()
        if name == "size":
            width, _, height = value.partition("x")
            self.size = (int(width), int(height))
        elif name == "fps":
            self.fps = float(value)
        elif name == "repeat":
            self.repeat = int(value)
        else:
            self.garbage = int(value)

    def serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.recv(4096)
            client.sendall(_HEAD)
            due_s = time.monotonic()
            while True:
                part = self._part()
                for _ in range(self.repeat):
                    client.sendall(part)
                due_s = max(due_s + 1 / self.fps, time.monotonic() - 0.1)
                time.sleep(max(0.0, due_s - time.monotonic()))

    def _part(self) -> bytes:
        width, height = self.size
        image = np.full((height, width, 3), 90, np.uint8)
        draw_frame_number(image, time.monotonic_ns() // 1_000_000)
        body = simplejpeg.encode_jpeg(image, 80, "BGR", "420")
        if self.garbage:
            count, self.garbage = self.garbage, 0
            body = body[: len(body) // 2] + os.urandom(count)
        return b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(body), body)


def main() -> None:
    server = _Server()
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=server.serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    for line in sys.stdin:
        server.apply(line)


if __name__ == "__main__":
    main()
