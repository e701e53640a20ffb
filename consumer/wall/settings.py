"""The settings of the wall: the options of its command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Final

from fanlight.common.model import units
from fanlight.common.model.units import Notation
from fanlight.common.model.wire_fields import STREAM_NAME
from fanlight.common.runtime.options import option
from fanlight.common.runtime.settings import LISTEN_ADDRESS, MAX_WAIT, AddressSettings
from fanlight.consumer.wall.access_settings import WebSettings

_PATTERN: Final = re.compile(r"[A-Za-z0-9_*?-]{1,64}")
_PATTERNS: Final = Notation(
    "names of streams separated by commas; * stands for any characters, ? for one",
    lambda text: tuple(part.strip() for part in text.split(",")),
    lambda patterns: bool(patterns) and all(_PATTERN.fullmatch(each) for each in patterns),
    ",".join,
    tuple,
)


@dataclass(frozen=True, kw_only=True)
class WallSettings(AddressSettings, WebSettings):
    """Validated on creation, then immutable.

    Attributes:
        only: the stream of the consumer whose `--sink web` this is; None for the wall of a broker.
    """

    title: ClassVar[str] = "what is shown, and where"

    listen: tuple[str, int] = option(
        ("127.0.0.1", 8080),
        LISTEN_ADDRESS,
        "address of the page; beyond this machine it needs a token",
        "HOST:PORT",
        shown="127.0.0.1:8080",
    )
    streams: tuple[str, ...] = option(("*",), _PATTERNS, "the streams that are shown", "NAME[,NAME]")
    name: str = option("wall", units.NAME, "name of this wall, as RabbitMQ's console shows it", "NAME")
    max_age_s: float = option(0.5, MAX_WAIT, "pages never draw a frame older than this", "TIME")
    only: str | None = None

    def shows(self, stream: str) -> bool:
        """Whether `streams` allows this stream."""
        return any(fnmatchcase(stream, pattern) for pattern in self.streams)

    @property
    def named(self) -> tuple[str, ...]:
        """The streams of which `streams` has the whole name: they need not be announced."""
        return tuple(each for each in self.streams if STREAM_NAME.fullmatch(each))
