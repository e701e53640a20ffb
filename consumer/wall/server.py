"""The web server: routes, start and stop. It has one event loop, and no other thread but those of feeds."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from fanlight.common.model.errors import FanlightError
from fanlight.consumer.wall.acceptor import Acceptor
from fanlight.consumer.wall.access import Access
from fanlight.consumer.wall.certificate import ServerCertificate
from fanlight.consumer.wall.connection import Connections
from fanlight.consumer.wall.players import Players, serve_players
from fanlight.consumer.wall.qr import QrCodes
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.streams import Streams
from fanlight.consumer.wall.websocket import Page

_LOG: Final = logging.getLogger(__name__)

STATIC: Final = Path(__file__).parent / "static"
_CLOSE_S: Final = 0.5


def create_application(streams: Streams) -> web.Application:
    """The routes; to be called on the event loop."""
    application = web.Application()
    pages: set[Page] = set()

    async def index(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def open_socket(request: web.Request) -> web.StreamResponse:
        page = Page(streams)
        pages.add(page)
        try:
            return await page.serve(request)
        finally:
            pages.discard(page)

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def close_pages(_application: web.Application) -> None:
        if pages:
            await asyncio.wait([asyncio.create_task(page.close()) for page in pages], timeout=_CLOSE_S)

    application.router.add_get("/", index)
    application.router.add_get("/ws", open_socket)
    application.router.add_get("/healthz", health)
    application.router.add_get("/qr.svg", QrCodes().serve)
    application.router.add_static("/static/", STATIC)
    serve_players(application, Players(streams))
    application.on_shutdown.append(close_pages)
    return application


def page_address(settings: WallSettings, port: int) -> str:
    """The URL of the page."""
    host = settings.listen[0]
    scheme = "http" if settings.web_cert is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


class WallServer:
    """Runs the server until it is stopped. `run` belongs to one thread; `stop` and `fail` are thread-safe.

    Args:
        make_streams: called on the event loop, with `fail`; what it returns is stopped at the end.
        on_listening: called once with the port.

    Raises:
        ConfigError: it would listen beyond this machine without a token, or a file cannot be used.
    """

    def __init__(
        self,
        settings: WallSettings,
        make_streams: Callable[[Callable[[FanlightError], None]], Streams],
        on_listening: Callable[[int], None] = lambda _port: None,
    ) -> None:
        self._settings = settings
        self._access = settings.read_access()
        self._access.check_listen("--listen" if settings.only is None else "--sink web", *settings.listen)
        cert, key = self._access.cert, self._access.key
        self._certificate = None if cert is None else ServerCertificate(cert, key)
        self._make_streams = make_streams
        self._on_listening = on_listening
        self._lock = threading.Lock()
        self._stopping = False
        self._failure: FanlightError | None = None
        # Sets the event that `_run` waits for; None while it does not run.
        self._end: Callable[[], object] | None = None

    def run(self) -> None:
        """Serve until `stop`.

        Raises:
            ListenError: it cannot listen at its address.
            FanlightError: what was passed to `fail`.
        """
        asyncio.run(self._run())
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End `run` within two seconds."""
        with self._lock:
            self._stopping = True
            if self._end is not None:
                self._end()

    def fail(self, error: FanlightError) -> None:
        """End `run` with this error."""
        self._failure = error
        self.stop()

    async def _run(self) -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            self._end = partial(loop.call_soon_threadsafe, end.set)
            if self._stopping:
                end.set()
        try:
            await self._serve(end)
        finally:
            with self._lock:
                self._end = None

    async def _serve(self, end: asyncio.Event) -> None:
        host, port = self._settings.listen
        streams = self._make_streams(self.fail)
        connections = Connections(counts=streams.counters.refused)
        access = Access(self._access, host, port, connections)
        application = create_application(streams)
        access.protect(application)
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=access.log,
            auto_decompress=False,
            shutdown_timeout=_CLOSE_S,
        )
        await runner.setup()
        acceptor = Acceptor(runner.server, connections, self._certificate)
        try:
            acceptor.start(host, port)
            port = acceptor.addresses[0][1]
            _LOG.info("the page is at %s", page_address(self._settings, port))
            self._on_listening(port)
            await end.wait()
        finally:
            acceptor.stop_accepting()
            await runner.cleanup()
            await acceptor.close()
            await streams.stop()
