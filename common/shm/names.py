"""The file names of a ring, by which hubs and viewers of the same source find each other. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from fanlight.common.model.address import Address, BrokerAddress
from fanlight.common.model.pixels import PictureFormat
from fanlight.common.model.wire_fields import STREAM_NAME

# A producer without a broker may listen at the wildcard addresses, which include the loopback.
_THIS_HOST: Final = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - names to compare with
# Of the folder; the number of its user follows.
FOLDER: Final = "fanlight-"
_OURS: Final = re.compile(rf"{STREAM_NAME.pattern}\.[a-z0-9-]{{1,32}}\.[0-9a-f]{{8}}\.([0-9a-f]{{8}}|lock)")


class RingName(NamedTuple):
    """Identifies a ring: pictures of one stream of one source, in one format.

    Attributes:
        source: hash of the address, see `source_of`.
    """

    stream: str
    picture_format: PictureFormat
    source: str

    @property
    def prefix(self) -> str:
        """The common prefix of the names of its files."""
        return f"{self.stream}.{self.picture_format}.{self.source}."

    @property
    def lock(self) -> str:
        """The file that the serving hub keeps locked."""
        return f"{self.prefix}lock"

    def segment(self, suffix: str) -> str:
        """The name of a segment; `suffix` is 8 hex digits that make it unique."""
        return f"{self.prefix}{suffix}"


def is_ours(name: str) -> bool:
    """Whether this is the name of a segment or a lock."""
    return _OURS.fullmatch(name) is not None


def source_of(address: Address) -> str:
    """Hash an address to 8 hex digits, equal for all spellings of the same `--url`.

    Streams of two brokers may have the same name, and must not be mistaken for each other.
    """
    if isinstance(address, BrokerAddress):
        hosts = ",".join(sorted(f"{_host(host)}:{port}" for host, port in address.hosts))
        endpoint = f"{hosts}/{address.vhost}"
    else:
        endpoint = f"{_host(address.host)}:{address.port}"
    return hashlib.sha256(endpoint.encode()).hexdigest()[:8]


def _host(name: str) -> str:
    return "localhost" if name in _THIS_HOST else name.lower()
