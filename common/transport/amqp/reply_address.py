"""Which addresses of direct reply-to can be answered without risk for the connection that answers.

RabbitMQ closes a connection that publishes to an address it cannot decode (docs/direct-reply-to), and any
consumer can write one. An address is an Erlang process identifier in base64, a dot, and a key: it must have
that form, and name a node that is known to exist.
"""

from __future__ import annotations

import base64
import re
import struct
from typing import Final

from fanlight.common.model.rate_limit import RateLimiter

_BASE64: Final = r"[A-Za-z0-9+/]+={0,2}"
_ADDRESS: Final = re.compile(rf"amq\.rabbitmq\.reply-to\.({_BASE64})\.({_BASE64})")
# The end of Erlang's NEW_PID_EXT, behind the node's name: the process's number, its serial number, and when
# the node was started. Before OTP 26 larger numbers cost the connection.
_PROCESS: Final = struct.Struct(">III")
_MOST_NUMBER, _MOST_SERIAL = 1 << 15, 1 << 13
_OTP: Final = re.compile(r"Erlang/OTP (\d+)")
_WIDE_OTP: Final = 26
_MOST_NODES: Final = 64
TRIAL_INTERVAL_NS: Final = 10_000_000_000


def reply_node(address: object, *, wide: bool = False) -> bytes | None:
    """The node of an address, encoded; None if this is no address. What is not UTF-8 comes as bytes.

    Args:
        wide: the broker takes processes of all numbers.
    """
    form = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if form is None:
        return None
    try:
        process = base64.b64decode(form[1], validate=True)
    except ValueError:
        return None
    if len(process) <= _PROCESS.size:
        return None
    number, serial, _ = _PROCESS.unpack(process[-_PROCESS.size :])
    if not wide and (number >= _MOST_NUMBER or serial >= _MOST_SERIAL):
        return None
    return process[: -_PROCESS.size]


class ReplyNodes:
    """The nodes that have been answered before, and the one that is being tried. Pure, not thread-safe.

    In a cluster consumers are at other nodes than the producer, so an unknown one is tried, but seldom: it
    may have been made up, which costs the connection.
    """

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._trials = RateLimiter(TRIAL_INTERVAL_NS)
        self._tried: bytes | None = None
        self._wide = False

    def connected(self, platform: object) -> None:
        """A connection is open to a broker that says it runs on this: "Erlang/OTP 27.3"."""
        found = _OTP.match(str(platform))
        self._wide = found is not None and int(found[1]) >= _WIDE_OTP

    def admit(self, address: object, now_ns: int) -> bool:
        """Whether to answer this address. Call `proven` or `lost` when it has been found out."""
        node = reply_node(address, wide=self._wide)
        if node is None or node in self._known:
            return node is not None
        if self._tried is not None or not self._known or len(self._known) >= _MOST_NODES:
            return False
        if self._trials.allow(now_ns) is None:
            return False
        self._tried = node
        return True

    @property
    def trying(self) -> bool:
        return self._tried is not None

    def proven(self, own: object) -> None:
        """The connection has survived what was sent before, and has this address itself."""
        self._known |= {
            node for node in (reply_node(own, wide=self._wide), self._tried) if node is not None
        }
        self._tried = None

    def lost(self) -> None:
        """The connection is gone."""
        self._tried = None
