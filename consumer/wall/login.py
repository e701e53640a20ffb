"""Who knows the token: by a cookie after a login, or by the token in the request.

A browser logs in with the token and has a cookie from then on. A player sends the token with every request,
as `Authorization: Bearer`, or as the password of `Basic`, which is all that most players know.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import html
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote

from aiohttp import hdrs, web

from fanlight.common.clock import monotonic_ns
from fanlight.common.transport.tcp.connection_limiter import peer_of
from fanlight.consumer.wall.limits import ATTEMPT_INTERVAL_S, AttemptLimiter, Refused
from fanlight.consumer.wall.refusals import Refusal, Refusals
from fanlight.consumer.wall.sessions import SESSION_S, Sessions

_LOG = logging.getLogger(__name__)

_PAGE: Final = Path(__file__).parent / "static" / "login.html"
# Where the page says what was wrong.
_MESSAGE: Final = "{{message}}"
_FORM_BYTES: Final = 4096
_FORM_S: Final = 5.0
_PLAYERS: Final = "/s/"
_CHALLENGE: Final = 'Basic realm="fanlight", charset="UTF-8"'

MISSING: Final = Refusal(Refused.TOKEN, 401, "the token is missing")
_WRONG: Final = Refusal(Refused.TOKEN, 401, "this is another token")
_TOO_MANY: Final = Refusal(
    Refused.ATTEMPTS, 429, f"too many wrong tokens: try again in {ATTEMPT_INTERVAL_S} s"
)
_MALFORMED: Final = Refusal(Refused.MALFORMED, 400, "the form with the token is malformed")


class Login:
    """For a gateway with a token. Belongs to its event loop.

    Args:
        port: at which the gateway listens. Cookies are not separated by port: two walls on one host have
            one each.
        end_session: closes the connections of a session that logged out.
    """

    def __init__(
        self, token: str, port: int, *, tls: bool, refusals: Refusals, end_session: Callable[[str], None]
    ) -> None:
        self._token = token.encode()
        self._tls = tls
        self._refusals = refusals
        self._end_session = end_session
        self._sessions = Sessions(token)
        self._attempts = AttemptLimiter(monotonic_ns())
        self._cookie = f"{'__Host-' if tls else ''}fanlight-{port}"

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/login", self._show)
        router.add_post("/login", self._log_in)
        router.add_post("/logout", self._log_out)

    def session_of(self, request: web.Request) -> str | None:
        """The valid session of its cookie."""
        session = request.cookies.get(self._cookie)
        return session if session and self._sessions.valid(session, int(time.time())) else None

    def refusal(self, request: web.Request) -> web.StreamResponse | None:
        """What to answer to a request without a valid cookie; None if it has the token."""
        given = _token_in(request.headers.get(hdrs.AUTHORIZATION, ""))
        refusal = MISSING if given is None else self._wrong(request, given)
        if refusal is None:
            return None
        if given is None and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            return _to_login(request)
        # Players send the token once they are asked; a browser would ask with a window of its own.
        if request.path.startswith(_PLAYERS) and "Sec-Fetch-Mode" not in request.headers:
            if given is not None:
                self._refusals.count(request, refusal)
            answer = refusal.answer()
            answer.headers[hdrs.WWW_AUTHENTICATE] = _CHALLENGE
            return answer
        return self._refusals.answer(request, refusal)

    def _wrong(self, request: web.Request, given: str) -> Refusal | None:
        """Why a token is not accepted; None if it is."""
        peer, now_ns = _peer(request), monotonic_ns()
        if not self._attempts.allows(peer, now_ns):
            return _TOO_MANY
        if hmac.compare_digest(given.encode(errors="replace"), self._token):
            return None
        self._attempts.failed(peer, now_ns)
        return _WRONG

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return _page("") if self.session_of(request) is None else _see(_next(request))

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        given = await _form_token(request)
        refusal = _MALFORMED if given is None else self._wrong(request, given)
        if refusal is not None:
            self._refusals.count(request, refusal)
            return _page(refusal.text, refusal.status)
        _LOG.info("login from %s", request.remote)
        response = _see(_next(request))
        response.set_cookie(
            self._cookie,
            self._sessions.begin(int(time.time())),
            max_age=SESSION_S,
            path="/",
            secure=self._tls,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        response = _see("/login")
        session = self.session_of(request)
        if session is not None:
            self._sessions.end(session, int(time.time()))
            self._end_session(session)
            response.del_cookie(self._cookie, path="/", secure=self._tls, httponly=True, samesite="Strict")
        return response


def _peer(request: web.Request) -> str:
    """The address under which attempts are counted; under IPv6 its network."""
    address = request.remote
    return "" if address is None else peer_of(address) or address


def _token_in(authorization: str) -> str | None:
    """The token of an `Authorization` header; None if it has none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            # The user may have any name.
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return None


async def _form_token(request: web.Request) -> str | None:
    """The field `token` of a form; None if it is malformed, too large or late."""
    data = b""
    try:
        async with asyncio.timeout(_FORM_S):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > _FORM_BYTES:
                    return None
        return parse_qs(data.decode(), strict_parsing=True, max_num_fields=8)["token"][0].strip()
    except (KeyError, ValueError, TimeoutError):
        return None


def _next(request: web.Request) -> str:
    """Where to go after the login: within this gateway, whatever the address says."""
    target = request.query.get("next", "/")
    local = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if local else "/"


def _see(target: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: quote(target, safe="/?&=%:*,-._~")})


def _to_login(request: web.Request) -> web.Response:
    """Lead a browser to the login.

    No redirect: after a link from another site, such as a mail's, a browser sends no cookie
    (`SameSite=Strict`), also where that redirects to. This page asks once more, by itself.
    """
    target = html.escape(f"/login?next={quote(request.path_qs, safe='')}")
    text = f'<!doctype html><title>Fanlight</title><meta http-equiv="refresh" content="0; url={target}">'
    return web.Response(text=text, status=401, content_type="text/html")


def _page(message: str, status: int = 200) -> web.Response:
    text = _PAGE.read_text(encoding="utf-8").replace(_MESSAGE, html.escape(message))
    return web.Response(text=text, status=status, content_type="text/html")
