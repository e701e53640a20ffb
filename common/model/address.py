"""Parses `--url`: the address of a broker, or of a producer that listens without a broker."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from fanlight.common.model.errors import ConfigError

DEFAULT_URL = "amqp://fanlight:fanlight@localhost:5672/fanlight"
SCHEMES = (
    "amqp://USER:PASSWORD@HOST[:PORT][,HOST[:PORT]...]/VHOST (without VHOST: '/'), or amqps:// for TLS; "
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
class Times:
    """What the query of a broker's URL asks for; None where it does not."""

    heartbeat_s: float | None = None
    connect_s: float | None = None
    blocked_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A query parameter of a broker's URL: an integer that sets a field, in a unit."""

    field: str
    least: int
    most: int
    unit: str
    unit_s: float = 1.0


# In the units of RabbitMQ's clients and of pika. 0 would switch heartbeats off, which RabbitMQ advises
# against (rabbitmq-website, docs/heartbeats, docs/uri-query-parameters).
_PARAMETERS: Final = {
    "heartbeat": _Parameter("heartbeat_s", 1, 600, "seconds"),
    "connection_timeout": _Parameter("connect_s", 100, 60_000, "milliseconds", 0.001),
    "socket_timeout": _Parameter("connect_s", 1, 60, "seconds"),
    "stack_timeout": _Parameter("connect_s", 1, 60, "seconds"),
    "blocked_connection_timeout": _Parameter("blocked_s", 1, 3600, "seconds"),
}
_INSTEAD: Final = {
    "cacertfile": "write --ca",
    "certfile": "write --cert",
    "keyfile": "write --key",
    "ssl_options": "write amqps:// with --ca, --cert and --key",
    "verify": "amqps:// is always verified",
    "server_name_indication": "amqps:// always names the host",
}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """One RabbitMQ node or cluster.

    Attributes:
        hosts: (host, port) of every node, in the order given.
        password: omitted from `repr` and `str`.
        tls: True for `amqps://`.
        ca, cert, key: the files of `--ca`, `--cert` and `--key`; of `amqps://` alone.
        times: those in the query of the URL.
    """

    hosts: tuple[tuple[str, int], ...]
    user: str
    vhost: str
    tls: bool = False
    password: str = field(default="", repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    times: Times = Times()

    def __str__(self) -> str:
        scheme = "amqps" if self.tls else "amqp"
        hosts = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.hosts)
        return f"{scheme}://{quote(self.user, safe='')}@{hosts}/{quote(self.vhost, safe='')}"


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
    """Parse a URL. A broker's user and password, if missing, are taken from `DEFAULT_URL`.

    As for every AMQP client, a URL without a path, or with `/`, means the vhost `/`.

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
    if "?" in host_list:  # there is no path
        host_list, _, query = rest.rpartition("@")[2].partition("?")
        path = ""
    else:
        path, _, query = path.partition("?")
    hosts = tuple(_host(scheme, text, url, name) for text in host_list.split(","))
    return BrokerAddress(
        hosts=hosts,
        user=unquote(user) or "fanlight",
        password=unquote(password) if colon else "fanlight",
        vhost=unquote(path) or "/",
        tls=scheme == "amqps",
        times=_times(query, name),
    )


def _times(query: str, name: str) -> Times:
    found = {}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        known = _PARAMETERS.get(key)
        if known is None:
            instead = _INSTEAD.get(key, f"known are {', '.join(_PARAMETERS)}")
            raise ConfigError(f"{name}: parameter", key, instead)
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1
        if not known.least <= number <= known.most:
            rule = f"allowed is {known.least} to {known.most} {known.unit}"
            raise ConfigError(f"{name}: {key}", value, rule)
        found[known.field] = number * known.unit_s
    return Times(**found)


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
