"""A small HTTP server for `/metrics` and `/healthz`, that whoever scrapes cannot harm.

One thread accepts; each connection has one more, of at most `MOST_CONNECTIONS`, and a few seconds
altogether. Beyond that number connections are closed at once.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, Final

from fanlight.common.model.errors import ListenError
from fanlight.common.observe.figures import Health

_LOG = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 8
CONNECTION_S: Final = 5.0
_LOOK_S: Final = 0.25
_JOIN_S: Final = 1.0
_TEXT: Final = "text/plain; charset=utf-8"

Metrics = Callable[[str | None], tuple[str, bytes]]
"""Content type and body for what a scraper accepts."""


class MonitorServer:
    """Listens from its making on, answers from `start` to `stop`.

    Args:
        place: (host, port).
        metrics, health: called for every request, in threads of the server.

    Raises:
        ListenError: it cannot listen there.
    """

    def __init__(self, place: tuple[str, int], *, metrics: Metrics, health: Callable[[], Health]) -> None:
        self._server = _listening(place, metrics, health)
        self._thread = threading.Thread(target=self._serve, name="monitor", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End within a second, whoever is connected. To be called once, after `start`."""
        self._server.shutdown()
        self._thread.join(_JOIN_S)
        self._server.close_all()
        self._server.server_close()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=_LOOK_S)


def _listening(place: tuple[str, int], metrics: Metrics, health: Callable[[], Health]) -> _Server:
    host, port = place
    shown = f"{f'[{host}]' if ':' in host else host}:{port}"
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _Server(family, address, metrics, health)
    except OSError as error:
        why = error.strerror or str(error)
        raise ListenError(
            f"--metrics {shown}: cannot listen there: {why}; choose another port or address"
        ) from None


class _Server(ThreadingMixIn, HTTPServer):
    # Joined by `server_close`; by then their connections are shut, so that none can wait.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 16

    def __init__(
        self, family: socket.AddressFamily, address: Any, metrics: Metrics, health: Callable[[], Health]
    ) -> None:
        self.address_family = family
        self.metrics = metrics
        self.health = health
        self._guard = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the DNS for our name, which can take long and is of no use here.
        super(HTTPServer, self).server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take a connection, unless there are too many."""
        with self._guard:
            if len(self._open) >= MOST_CONNECTIONS:
                return False
            self._open[request] = time.monotonic() + CONNECTION_S
        return True

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Between connections: whoever had time enough is cut off, in the middle of a word if need be."""
        now_s = time.monotonic()
        self._shut(lambda until_s: until_s <= now_s)

    def close_all(self) -> None:
        self._shut(lambda _: True)

    def _shut(self, over: Callable[[float], bool]) -> None:
        with self._guard:
            for sock, until_s in self._open.items():
                if over(until_s):
                    try:
                        sock.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        continue  # its other end was quicker

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's business; a mistake of ours is."""
        import sys

        error = sys.exception()
        if not isinstance(error, (OSError, ValueError)):
            _LOG.error("metrics: internal error: %r", error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CONNECTION_S
    server_version = "Fanlight"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        status, kind = HTTPStatus.OK, _TEXT
        if path == "/metrics":
            kind, body = self.server.metrics(self.headers.get("Accept"))
        elif path == "/healthz":
            health = self.server.health()
            status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
            said = {"status": "ok" if health.ok else "failing", "reason": health.reason}
            kind, body = "application/json", f"{json.dumps(said)}\n".encode()
        else:
            status, body = HTTPStatus.NOT_FOUND, b"there are /metrics and /healthz\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        """Nobody asked for a line per scrape."""
