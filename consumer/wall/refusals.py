"""Requests that are not let in: one answer, one line in the log at most once a second, and a count."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.consumer.wall.limits import ATTEMPT_INTERVAL_S, Refused

_LOG = logging.getLogger(__name__)
_BY_CLIENTS: Final = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in.

    Attributes:
        status: of HTTP.
        text: for whoever reads the answer or the log. Nothing that came with the request.
    """

    kind: Refused
    status: int
    text: str

    def answer(self) -> web.Response:
        response = web.Response(status=self.status, text=f"{self.text}\n")
        if self.status == 429:
            response.headers[hdrs.RETRY_AFTER] = str(ATTEMPT_INTERVAL_S)
        return response


class Refusals:
    """Those of one gateway."""

    def __init__(self, counts: Counter[Refused]) -> None:
        self._counts = counts
        self._log = LimitedLog(_LOG)

    def count(self, request: web.Request, refusal: Refusal) -> None:
        self._counts[refusal.kind] += 1
        self._log.warn(
            monotonic_ns(), "refused a request from %s (%s): %s", request.remote, refusal.kind, refusal.text
        )

    def answer(self, request: web.Request, refusal: Refusal) -> web.Response:
        """Count, and answer."""
        self.count(request, refusal)
        return refusal.answer()


class ServerLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp logs. A malformed request is no traceback, and what it contained may be a secret."""

    def __init__(self, counts: Counter[Refused]) -> None:
        super().__init__(_LOG)
        self._counts = counts
        self._limited = LimitedLog(_LOG)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        if isinstance(error, _BY_CLIENTS):
            self._counts[Refused.MALFORMED] += 1
            self._limited.warn(monotonic_ns(), "refused a malformed request: %s", type(error).__name__)
        else:
            super().log(level, msg, *args, **kwargs)
