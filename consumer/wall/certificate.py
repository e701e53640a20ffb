"""The certificate with which the gateway serves HTTPS."""

from __future__ import annotations

import logging
import os
import ssl
from typing import Final

from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import ConfigError
from fanlight.common.transport.certificates import load_own

_LOG = logging.getLogger(__name__)
_FLAGS: Final = ("--web-cert", "--web-key")


class ServerCertificate:
    """TLS 1.2 or newer. A renewed certificate is used once its files are replaced.

    Args:
        cert, key: files, which may be one.

    Raises:
        ConfigError: one of the files cannot be used.
    """

    def __init__(self, cert: str, key: str | None) -> None:
        self._cert = cert
        self._key = key
        self._log = LimitedLog(_LOG, 60_000_000_000)
        self._seen = self._stamps()
        self._context = self._load()

    def context(self, now_ns: int) -> ssl.SSLContext:
        """For one connection.

        Args:
            now_ns: monotonic time.
        """
        if (stamps := self._stamps()) != self._seen:
            try:
                self._context = self._load()
                self._seen = stamps
            except ConfigError as error:  # half of it written, perhaps
                self._log.warn(now_ns, "%s; what was read before is used", error)
        return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        context.set_alpn_protocols(["http/1.1"])
        load_own(context, self._cert, self._key, flags=_FLAGS)
        return context

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(file) for file in (self._cert, self._key) if file is not None]


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
