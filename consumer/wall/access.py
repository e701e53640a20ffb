"""Decides about every request before anything else sees it: by its host, its origin, and the token."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from fanlight.common.transport.tcp.bind_check import beyond_loopback
from fanlight.consumer.wall.access_settings import WebAccess
from fanlight.consumer.wall.connection import Connection, Connections
from fanlight.consumer.wall.hosts import HostRules, own_names, same_origin
from fanlight.consumer.wall.limits import Refused
from fanlight.consumer.wall.login import Login
from fanlight.consumer.wall.refusals import Refusal, Refusals, ServerLog

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOGIN: Final = ("/login", "/logout")
# What everybody may see: the parts of the login page, the same everywhere, and whether the gateway works.
_OPEN: Final = ("/static/", "/healthz")

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "media-src 'self' blob:",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer` browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    hdrs.SERVER: "fanlight",
}

_TOO_MANY: Final = Refusal(Refused.REQUESTS, 429, "too many requests from this address")
_HOST: Final = Refusal(Refused.HOST, 421, "this is no name of this gateway: --web-host NAME adds one")
_ORIGIN: Final = Refusal(Refused.ORIGIN, 403, "a page of another site may not use this gateway")


class Access:
    """The access control of one gateway. Belongs to its event loop.

    Args:
        host, port: where it listens.
        connections: those over which its requests come; they count what is refused.

    Attributes:
        log: for the server that parses the requests.
    """

    def __init__(self, settings: WebAccess, host: str, port: int, connections: Connections) -> None:
        beyond = beyond_loopback(host, port) is not None
        names = (host, *own_names(socket.gethostname())) if beyond else ()
        self._hosts = HostRules(beyond=beyond, names=(*settings.names, *names))
        self._tls = settings.cert is not None
        self._refusals = Refusals(connections.counts)
        self.log = ServerLog(connections.counts)
        self._login: Login | None = None
        if settings.token is not None:
            self._login = Login(
                settings.token,
                port,
                tls=self._tls,
                refusals=self._refusals,
                end_session=connections.abort_session,
            )

    def protect(self, application: web.Application) -> None:
        """Let nothing of this application be reached without a check."""
        application.middlewares.append(self._check)
        application.on_response_prepare.append(_add_headers)
        if self._login is not None:
            self._login.add_routes(application.router)

    @web.middleware
    async def _check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        connection = _connection_of(request)
        if connection is None or not connection.allows_request():
            response = self._refusals.answer(request, _TOO_MANY)
            response.force_close()
            return response
        if (foreign := self._foreign(request)) is not None:
            return self._refusals.answer(request, foreign)
        if request.path in _LOGIN:
            return await handler(request)
        session = None if self._login is None else self._login.session_of(request)
        if self._login is not None and session is None:
            if request.path.startswith(_OPEN) and ".." not in request.path:
                return await handler(request)
            if (refusal := self._login.refusal(request)) is not None:
                return refusal
        with connection.serving(session):
            return await handler(request)

    def _foreign(self, request: web.Request) -> Refusal | None:
        """Why a request comes from the page of another site."""
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) != 1 or not self._hosts.allows(hosts[0]):
            return _HOST
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not same_origin(origin, hosts[0], tls=self._tls):
            return _ORIGIN
        # Browsers tell it where they trust the connection, also for what has no origin, such as pictures.
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in ("same-origin", "none") and request.headers.get("Sec-Fetch-Dest") != "document":
            return _ORIGIN
        return None


def _connection_of(request: web.Request) -> Connection | None:
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    return protocol if isinstance(protocol, Connection) else None


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    # A browser asks whether a file has changed: otherwise it may mix those of two versions.
    cached = "no-cache" if request.path.startswith("/static/") else "no-store"
    response.headers.setdefault(hdrs.CACHE_CONTROL, cached)
