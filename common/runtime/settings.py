"""Settings that both commands have: the stream and its address, logging, monitoring."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from fanlight.common.model import units
from fanlight.common.model.address import DEFAULT_URL, Address, BrokerAddress
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import MAX_PIXELS, RESERVED_NAMES
from fanlight.common.model.units import Notation
from fanlight.common.runtime.credential_files import CredentialFiles, credentials_of
from fanlight.common.runtime.logs import LogFormat
from fanlight.common.runtime.options import OptionGroup, option, options_of, resolve, without_line_end

MAX_WAIT: Final = units.duration(3600)
"""Range of options that limit the waiting time of a frame."""


@dataclass(frozen=True, kw_only=True)
class AddressSettings(OptionGroup):
    """Where streams come from, and the largest accepted picture.

    Attributes:
        url: omitted from `repr`, since it may contain a password.
    """

    title: ClassVar[str] = "stream and broker"

    url: str = option(
        DEFAULT_URL,
        units.TEXT,
        "the broker, its vhost at the end; amqps:// for TLS, several hosts separated by commas; or "
        "tcp+multiplex://HOST:PORT or tcp+threads://HOST:PORT, where the producer listens itself",
        "URL",
        repr=False,
    )
    max_pixels: int = option(
        MAX_PIXELS,
        units.PIXELS,
        "refuse larger pictures, before any memory is taken for them: a number of pixels, or WIDTHxHEIGHT; "
        "a producer scales what exceeds the default to fit",
        "N",
        shown="7680x4320",
    )
    credentials: Credentials = field(default_factory=Credentials)

    @classmethod
    def load(cls, flags: Mapping[str, Any], environment: Mapping[str, str]) -> Self:
        values = resolve(options_of(cls), flags, environment)
        return cls(credentials=CredentialFiles.load(flags, environment).read(), **values)

    @classmethod
    def of_program(
        cls,
        *,
        url: str | None,
        password: str | None,
        ca: str | None,
        cert: str | None,
        key: str | None,
        token: str | None,
        **values: Any,
    ) -> Self:
        """Make settings from a program's arguments; URL and credentials default to the environment."""
        credentials = credentials_of(password=password, ca=ca, cert=cert, key=key, token=token)
        if url is None:
            url = without_line_end(os.environ.get("FANLIGHT_URL", cls.url))
        return cls(url=url, credentials=credentials, **values)

    @property
    def address(self) -> Address:
        """The parsed URL with the credentials. Its `str` contains no password."""
        return self.credentials.address(self.url)


@dataclass(frozen=True, kw_only=True)
class StreamSettings(AddressSettings):
    """The stream, and where it comes from."""

    title: ClassVar[str] = AddressSettings.title

    stream: str = option("cam", units.NAME, "name of the stream", "NAME")

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.address, BrokerAddress) and self.stream in RESERVED_NAMES:
            used = f"the exchange fanlight.{self.stream} has another use; choose another name"
            raise ConfigError("--stream", self.stream, used)


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{'127.0.0.1' if text.startswith(':') else ''}{text}")
    unusable = parts.path or parts.query or "@" in text or any(c.isspace() for c in text)
    if unusable or not parts.hostname or not parts.port:
        raise ValueError
    return parts.hostname, parts.port


LISTEN_ADDRESS: Final = Notation(
    "HOST:PORT, or :PORT for this machine only, with a port from 1 to 65535",
    _host_and_port,
    lambda value: len(value) == 2,
)


@dataclass(frozen=True, kw_only=True)
class Operation(OptionGroup):
    """Options for logging, monitoring and diagnosis."""

    title: ClassVar[str] = "logging, monitoring, diagnosis"

    log_format: LogFormat = option(
        LogFormat.TEXT, units.one_of(LogFormat), "text; json: one object per line", "FORMAT"
    )
    metrics: tuple[str, int] | None = option(
        None,
        LISTEN_ADDRESS,
        "serve /metrics for Prometheus and /healthz there; :PORT is this machine only",
        "HOST:PORT",
        shown="nowhere",
    )
    stall_s: float | None = option(
        None,
        units.duration(),
        "without a frame for this long, /healthz says 503, and a producer opens its camera or URL anew",
        "TIME",
        shown="3s, or three intervals of a slower source",
    )
    doctor: bool = option(False, units.SWITCH, "check everything that is needed, say what to do, and end")
