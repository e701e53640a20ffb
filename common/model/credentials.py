"""Credentials: passwords, tokens and certificates.

Pure: files are read by `common.runtime.credential_files`, those of TLS by `common.transport.amqp.tls`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from fanlight.common.model.address import DEFAULT_URL, Address, TcpAddress, has_password, parse_url
from fanlight.common.model.errors import ConfigError

SHORTEST_TOKEN: Final = 16
_TLS_ONLY: Final = "it is for amqps:// alone; write amqps:// in --url, or leave it out"
_TWO: Final = "it has a password, and so has --password-file or FANLIGHT_PASSWORD: leave one of them out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Validated when it is created; immutable. `repr` shows no secret.

    Attributes:
        password: for the broker, instead of one in the URL.
        ca: file with the CA certificates (PEM) that are trusted, instead of the system's.
        cert, key: files with the client certificate and its key, which may be one file.
        token: secret that a producer without a broker and its consumers share.

    Raises:
        ConfigError: an empty password, a token that is too short, a key without a certificate.
    """

    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.password == "":
            raise ConfigError("password", "", "it is empty; leave it out, or give one")
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigError(
                "token", f"of {len(self.token)} characters", f"allowed are {SHORTEST_TOKEN} and more"
            )
        if self.key is not None and self.cert is None:
            raise ConfigError("--key", self.key, "it needs its certificate: --cert FILE")

    def address(self, url: str, name: str = "--url") -> Address:
        """Parse a URL and add the credentials to it.

        Raises:
            ConfigError: the URL is invalid, or cannot be combined with these credentials.
        """
        address = parse_url(url, name)
        for flag, value in (("--ca", self.ca), ("--cert", self.cert), ("--key", self.key)):
            if value is not None and (isinstance(address, TcpAddress) or not address.tls):
                raise ConfigError(flag, value, _TLS_ONLY)
        if isinstance(address, TcpAddress):
            return replace(address, token=self.token)
        if self.password is None:
            return replace(address, ca=self.ca, cert=self.cert, key=self.key)
        if has_password(url) and url != DEFAULT_URL:
            raise ConfigError(name, str(address), _TWO)
        return replace(address, password=self.password, ca=self.ca, cert=self.cert, key=self.key)
