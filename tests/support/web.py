"""A web server on loopback that counts what it is asked for."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import simplejpeg

Handler = http.server.BaseHTTPRequestHandler


class Web:
    """What is served, and what was asked for.

    Attributes:
        url: of the server, without a slash at its end.
        asked: the paths, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []


@contextlib.contextmanager
def serving(answer: Callable[[Handler], None]) -> Iterator[Web]:
    """Each request is passed to `answer`, on a thread of its own; a client that goes away is no error."""
    web = Web("")

    class Counting(Handler):
        def do_GET(self) -> None:  # noqa: N802 - the base class's name
            web.asked.append(self.path)
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        server.daemon_threads = True
        web.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()


def folder(path: Path) -> Callable[[Handler], None]:
    """Answers with the files of a folder, with their sizes but without ranges."""

    def answer(request: Handler) -> None:
        file = path / request.path.strip("/")
        if not file.is_file():
            request.send_error(404)
            return
        send(request, file.read_bytes())

    return answer


def send(request: Handler, body: bytes, content_type: str = "application/octet-stream") -> None:
    """One whole answer."""
    request.send_response(200)
    request.send_header("Content-Type", content_type)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def jpeg(number: int = 0) -> bytes:
    """A small picture, of less than 2 kB."""
    return simplejpeg.encode_jpeg(np.full((240, 320, 3), number * 20 % 256, np.uint8), 80, "BGR", "420")


def slow_camera(gap_s: float, stopping: threading.Event) -> Callable[[Handler], None]:
    """Answers with multipart JPEG, a picture at once and then one every `gap_s`."""

    def answer(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for number in range(1000):
            body = jpeg(number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            request.wfile.write(head.encode() + body + b"\r\n")
            if stopping.wait(gap_s):
                return

    return answer
