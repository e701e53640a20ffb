"""What lets us in: passwords, tokens and certificates, and the settings that say where they are.

Pure: files are read by `common.shell.access`, those of TLS by `common.fanout.broker.tls`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from common.address import DEFAULT_URL, Address, TcpAddress, has_password, parse_url
from common.errors import ConfigError
from common.settings import Option

SHORTEST_TOKEN: Final = 16
_TLS_ONLY: Final = "it is for amqps:// alone; write amqps:// in --url, or leave it out"
_TWO: Final = "it has a password, and so has --password-file or FANLIGHT_PASSWORD: leave one of them out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Checked once, then fixed. `repr` shows no secret.

    Attributes:
        password: for the broker, in place of one in the URL.
        ca: a file of certificates (PEM): who may have signed the broker's, in place of the system's.
        cert, key: files of our own certificate and of its key, which may be in the same one.
        token: what a producer without a broker and its consumers both know.

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
            raise ConfigError("password", "", "it is empty; leave it out, or say one")
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigError(
                "token", f"of {len(self.token)} characters", f"allowed are {SHORTEST_TOKEN} and more"
            )
        if self.key is not None and self.cert is None:
            raise ConfigError("--key", self.key, "it needs its certificate: --cert FILE")

    def address(self, url: str, name: str = "--url") -> Address:
        """Read a URL, and add to it what lets us in there.

        Raises:
            ConfigError: the URL cannot be used, or not together with this.
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


def _file(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("the name of a file")
    return text


OPTIONS: Final = (
    Option(
        "password-file",
        _file,
        None,
        "a file with the broker's password, for a --url without one; or else FANLIGHT_PASSWORD",
        "FILE",
    ),
    Option("ca", _file, None, "of amqps://: who may have signed the broker's certificate (PEM)", "FILE"),
    Option("cert", _file, None, "of amqps://: a certificate of our own (PEM)", "FILE"),
    Option("key", _file, None, "of amqps://: the key of --cert, if it is not in the same file", "FILE"),
    Option(
        "token-file",
        _file,
        None,
        f"of tcp+...://: a file with the token that producer and consumers share, {SHORTEST_TOKEN} "
        "characters or more; or else FANLIGHT_TOKEN",
        "FILE",
    ),
    Option("password", str, None, "", secret=True),
    Option("token", str, None, "", secret=True),
)
"""Of both command lines, after their own; see `common.shell.access` for what becomes of them."""
