"""A small HTTP server for `/metrics` and `/healthz` with limits against misbehaving clients.

One thread accepts; each connection has its own thread and a deadline of a few seconds. Beyond
`MOST_CONNECTIONS` a connection is closed at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, Final

from fanlight.common.model.errors import ListenError
from fanlight.common.model.reasons import reason
from fanlight.common.observe.health import Health

_LOG = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 8
CONNECTION_S: Final = 5.0
_POLL_S: Final = 0.25
_JOIN_S: Final = 1.0

Metrics = Callable[[str | None], tuple[str, bytes]]
"""Content type and body for what a scraper accepts."""


class MonitorServer:
    """Listens once it is made, answers from `start` to `stop`.

    Args:
        address: (host, port).
        metrics, health: called for every request, in threads of the server.
        connection_s: how long a connection may last.

    Raises:
        ListenError: it cannot listen there.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        metrics: Metrics,
        health: Callable[[], Health],
        connection_s: float = CONNECTION_S,
    ) -> None:
        host, port = address
        try:
            family, *_, resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._server = _Server(family, resolved, metrics, health, connection_s)
        except OSError as error:
            shown = f"{f'[{host}]' if ':' in host else host}:{port}"
            raise ListenError(
                f"--metrics {shown}: cannot listen there: {reason(error)}; choose another port or address"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="monitor", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End within a second, also if clients are connected. To be called once, after `start`."""
        self._server.shutdown()
        self._thread.join(_JOIN_S)
        self._server.shut_connections()
        self._server.server_close()


class _Server(ThreadingMixIn, HTTPServer):
    # Joined by `server_close`; by then their connections are shut, so that none can wait.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 16

    def __init__(
        self,
        family: socket.AddressFamily,
        address: Any,
        metrics: Metrics,
        health: Callable[[], Health],
        connection_s: float,
    ) -> None:
        self.address_family = family
        self.metrics = metrics
        self.health = health
        self.connection_s = connection_s
        self._lock = threading.Lock()
        self._deadlines_s: dict[socket.socket, float] = {}
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's method looks up the host's name in the DNS, which is slow and not needed.
        super(HTTPServer, self).server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Accept a connection, unless there are too many."""
        with self._lock:
            if len(self._deadlines_s) >= MOST_CONNECTIONS:
                return False
            self._deadlines_s[request] = time.monotonic() + self.connection_s
        return True

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._deadlines_s.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called every `_POLL_S`: shuts the connections whose time is over."""
        self.shut_connections(time.monotonic())

    def shut_connections(self, now_s: float | None = None) -> None:
        """Shut the connections whose deadline has passed; all of them if no time is given."""
        with self._lock:
            for sock, deadline_s in self._deadlines_s.items():
                if now_s is None or deadline_s <= now_s:
                    with contextlib.suppress(OSError):  # its other end was quicker
                        sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log internal errors, but no broken connections."""
        error = sys.exception()
        if not isinstance(error, (OSError, ValueError)):
            _LOG.error("metrics: internal error: %r", error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "Fanlight"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.connection_s)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        status, content_type = HTTPStatus.OK, "text/plain; charset=utf-8"
        if path == "/metrics":
            content_type, body = self.server.metrics(self.headers.get("Accept"))
        elif path == "/healthz":
            health = self.server.health()
            status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
            answer = {"status": "ok" if health.ok else "failing", "reason": health.reason}
            content_type, body = "application/json", f"{json.dumps(answer)}\n".encode()
        else:
            status, body = HTTPStatus.NOT_FOUND, b"there are /metrics and /healthz\n"
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        """No line for each scrape."""
