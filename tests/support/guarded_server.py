"""A web server behind the access control of the wall, without streams; and a client without manners."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
import resource
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from fanlight.consumer.wall.acceptor import Acceptor
from fanlight.consumer.wall.access import Access
from fanlight.consumer.wall.access_settings import WebAccess
from fanlight.consumer.wall.certificate import ServerCertificate
from fanlight.consumer.wall.connection import Connections
from fanlight.consumer.wall.limits import Refused
from scripts.lib.ports import LOOPBACK, free_ports
from tests.support.timing import scaled


@dataclass(frozen=True)
class Answer:
    """A response of HTTP; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class GuardedServer:
    """It runs in a thread of its own.

    `/` answers "in"; `/hold` announces itself by `holding` and answers once `held` is set; `/socket` is a
    WebSocket that echoes.
    """

    port: int
    connections: Connections
    tls: bool
    held: threading.Event = field(default_factory=threading.Event)
    holding: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def counts(self) -> Counter[Refused]:
        return self.connections.counts

    def connect(self, address: str = LOOPBACK) -> socket.socket:
        return socket.create_connection((address, self.port), scaled(30))

    def request(
        self, method: str = "GET", path: str = "/", body: str | None = None, **headers: str
    ) -> Answer:
        """One request over a connection of its own; `_` in the names of headers stands for `-`."""
        made: http.client.HTTPConnection
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            made = http.client.HTTPSConnection(LOOPBACK, self.port, timeout=scaled(30), context=context)
        else:
            made = http.client.HTTPConnection(LOOPBACK, self.port, timeout=scaled(30))
        try:
            made.request(
                method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
            )
            answer = made.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read().decode())
        finally:
            made.close()


@contextmanager
def guarded_server(
    access: WebAccess | None = None, *, host: str = LOOPBACK, most: int = 64, request_s: float = 10.0
) -> Iterator[GuardedServer]:
    """Yields a server that listens; ends it with all its connections."""
    settings = access or WebAccess()
    ready, loop = threading.Event(), asyncio.new_event_loop()
    made: list[GuardedServer] = []
    errors: list[BaseException] = []
    end = asyncio.Event()

    async def serve() -> None:
        port = free_ports(1)[0]
        connections = Connections(most, request_s)
        guard = Access(settings, host, port, connections)
        server = GuardedServer(port, connections, settings.cert is not None)
        application = _application(server)
        guard.protect(application)
        runner = web.AppRunner(application, access_log=None, logger=guard.log, shutdown_timeout=0.1)
        await runner.setup()
        certificate = None if settings.cert is None else ServerCertificate(settings.cert, settings.key)
        acceptor = Acceptor(runner.server, connections, certificate)
        acceptor.start(host, port)
        made.append(server)
        ready.set()
        await end.wait()
        server.held.set()
        await acceptor.close()
        await runner.cleanup()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001 - raised in the test's thread
            errors.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run, name="guarded server")
    thread.start()
    try:
        assert ready.wait(scaled(30))
        if errors:
            raise errors[0]
        yield made[0]
    finally:
        _call(loop, end.set)
        thread.join(scaled(10))
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], Any]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)


def _application(server: GuardedServer) -> web.Application:
    async def index(_request: web.Request) -> web.Response:
        return web.Response(text="in")

    async def hold(_request: web.Request) -> web.Response:
        server.holding.release()
        await asyncio.get_running_loop().run_in_executor(None, server.held.wait)
        return web.Response(text="held")

    async def echo(request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse(compress=False, max_msg_size=4096)
        await opened.prepare(request)
        async for message in opened:
            await opened.send_str(message.data)
        return opened

    application = web.Application()
    application.router.add_get("/", index)
    application.router.add_get("/s/cam.mp4", index)
    application.router.add_get("/static/x.css", index)
    application.router.add_get("/healthz", index)
    application.router.add_get("/hold", hold)
    application.router.add_get("/socket", echo)
    return application


def received(sock: socket.socket) -> bytes:
    """What comes until the other end closes."""
    sock.settimeout(scaled(30))
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def ended(sock: socket.socket) -> bool:
    """Waits until the other end closes."""
    received(sock)
    return True


def main() -> None:
    """Serve with so many file descriptors left, until standard input ends; writes the port and the log."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    with guarded_server() as server:
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        # The gaps below count too.
        left = int(sys.argv[1]) - sum(not os.path.exists(f"/proc/self/fd/{fd}") for fd in range(highest))
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + left, most))
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
