"""How the files of a ring are called, so that hubs and viewers of one source find each other. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from fanlight.common.model.address import Address, BrokerAddress
from fanlight.common.model.frame import STREAM_NAME
from fanlight.common.model.pixels import PictureFormat

# The wildcard addresses are where a producer without a broker listens; it is reached on this host too.
_THIS_HOST: Final = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - names to compare with
_OURS: Final = re.compile(rf"{STREAM_NAME.pattern}\.[a-z0-9-]{{1,32}}\.[0-9a-f]{{8}}\.([0-9a-f]{{8}}|lock)")


class RingName(NamedTuple):
    """What a ring holds: pictures of one stream of one source, in one form.

    Attributes:
        source: see `source_of`.
    """

    stream: str
    picture_format: PictureFormat
    source: str

    @property
    def prefix(self) -> str:
        """How the names of all its files begin."""
        return f"{self.stream}.{self.picture_format}.{self.source}."

    @property
    def lock(self) -> str:
        """The file that the hub in charge keeps locked."""
        return f"{self.prefix}lock"

    def segment(self, suffix: str) -> str:
        """A file of pictures; `suffix` is 8 hex digits that tell it from others."""
        return f"{self.prefix}{suffix}"


def is_ours(name: str) -> bool:
    """Whether a file of that name is a segment or a lock."""
    return _OURS.fullmatch(name) is not None


def source_of(address: Address) -> str:
    """8 hex digits that are the same for all processes that name the same place in `--url`.

    Two brokers may carry streams of one name: pictures of one must not be shown for those of the other.
    """
    if isinstance(address, BrokerAddress):
        hosts = ",".join(sorted(f"{_host(host)}:{port}" for host, port in address.hosts))
        place = f"{hosts}/{address.vhost}"
    else:
        place = f"{_host(address.host)}:{address.port}"
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def _host(name: str) -> str:
    return "localhost" if name in _THIS_HOST else name.lower()
