"""Parses `--url`: the address of a broker, or of a producer that listens without a broker."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from fanlight.common.model.errors import ConfigError

DEFAULT_URL = "amqp://fanlight:fanlight@localhost:5672/fanlight"
SCHEMES = (
    "amqp://USER:PASSWORD@HOST[:PORT][,HOST[:PORT]...]/VHOST, or amqps:// for TLS; "
    "without a broker tcp+threads://HOST:PORT or tcp+multiplex://HOST:PORT"
)
_DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}
_LOOPBACK = "127.0.0.1"


class Design(StrEnum):
    """How a producer without a broker sends to its consumers. Consumers need not know which it is."""

    THREADS = "threads"
    MULTIPLEX = "multiplex"


_DESIGNS = {f"tcp+{design}": design for design in Design}
_TCP_FORM = "HOST:PORT where the producer listens (without HOST: this machine only)"


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """One RabbitMQ node or cluster.

    Attributes:
        hosts: (host, port) of every node, in the order given.
        password: omitted from `repr` and `str`.
        tls: True for `amqps://`.
        ca, cert, key: the files of `--ca`, `--cert` and `--key`; of `amqps://` alone.
    """

    hosts: tuple[tuple[str, int], ...]
    user: str
    vhost: str
    tls: bool = False
    password: str = field(default="", repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        scheme = "amqps" if self.tls else "amqp"
        hosts = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.hosts)
        return f"{scheme}://{self.user}@{hosts}/{self.vhost}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """The address at which a producer listens when there is no broker.

    Attributes:
        token: secret that both sides need; None for no token. Omitted from `repr` and `str`.
    """

    design: Design
    host: str
    port: int
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp+{self.design}://{host}:{self.port}"


Address = BrokerAddress | TcpAddress


def parse_url(url: str, name: str = "--url") -> Address:
    """Parse a URL. Missing parts of a broker's URL, except the host, are taken from `DEFAULT_URL`.

    Raises:
        ConfigError: the scheme is unknown or the URL malformed. Its text never contains the password.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if separator and scheme in _DESIGNS:
        return _tcp(_DESIGNS[scheme], rest.removesuffix("/"), url, name)
    if not separator or scheme not in _DEFAULT_PORTS:
        raise ConfigError(name, url, f"allowed is {SCHEMES}")
    return _broker(scheme, rest, url, name)


def has_password(url: str) -> bool:
    """Whether the URL of a broker contains a password."""
    scheme, _, rest = url.partition("://")
    credentials = rest.partition("/")[0].rpartition("@")[0]
    return scheme.lower() in _DEFAULT_PORTS and ":" in credentials


def broker_address(url: str, name: str = "--url") -> BrokerAddress:
    """Read a URL that has to be one of a broker. Raises ConfigError, as `parse_url` does."""
    address = parse_url(url, name)
    if isinstance(address, TcpAddress):
        raise ConfigError(name, str(address), "there is no broker: allowed is amqp:// or amqps://")
    return address


def _tcp(design: Design, host_port: str, url: str, name: str) -> TcpAddress:
    host, port = _parts(f"{_LOOPBACK}{host_port}" if host_port.startswith(":") else host_port)
    if not host or not port or any(c in host_port for c in "@/?#"):
        raise ConfigError(name, url, f"allowed is tcp+{design}://{_TCP_FORM}, ports 1 to 65535")
    return TcpAddress(design, host, port)


def _broker(scheme: str, rest: str, url: str, name: str) -> BrokerAddress:
    authority, _, path = rest.partition("/")
    if "@" in path:
        # Most likely the rest of a password, not a vhost: refused before it is logged as a vhost.
        hint = "write '/' and '@' in a password or vhost as %2F and %40"
        raise ConfigError(name, url, f"allowed is {SCHEMES}; {hint}")
    credentials, _, host_list = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    hosts = tuple(_host(scheme, text, url, name) for text in host_list.split(","))
    return BrokerAddress(
        hosts=hosts,
        user=unquote(user) or "fanlight",
        password=unquote(password) if colon else "fanlight",
        vhost=unquote(path.partition("?")[0]) or "fanlight",
        tls=scheme == "amqps",
    )


def _host(scheme: str, text: str, url: str, name: str) -> tuple[str, int]:
    host, port = _parts(text)
    if not host or port == 0:
        raise ConfigError(name, url, f"allowed is {SCHEMES}, ports 1 to 65535")
    return host, port if port is not None else _DEFAULT_PORTS[scheme]


def _parts(text: str) -> tuple[str | None, int | None]:
    """Host and port, each None if missing or malformed."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # rejects labels that DNS does not allow: empty or too long
    except ValueError:
        return None, None
    # urlsplit ignores some white space and, before Python 3.11.9, any text after a closing bracket.
    if any(c.isspace() for c in text) or re.search(r"\][^:]", text):
        return None, None
    return host, port
