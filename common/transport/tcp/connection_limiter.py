"""Limits connections in number and rate, by address. Pure.

Only the total limits connections from this machine: many viewers on one host are the purpose.
"""

from __future__ import annotations

import ipaddress
from typing import Final

# Connections of one address, or of one network of 64 bits under IPv6, where everybody has one of these.
MOST_PER_PEER: Final = 64
# At once, and then per second: a client that was cut off retries a few times, and slower.
CONNECTIONS_AT_ONCE: Final = 64
CONNECTIONS_PER_S: Final = 10
# Addresses to remember that have no connection any more.
_MOST_GONE: Final = 1024


class _Peer:
    __slots__ = ("allowance", "at_ns", "open")

    def __init__(self, now_ns: int) -> None:
        self.open = 0
        self.allowance = float(CONNECTIONS_AT_ONCE)
        self.at_ns = now_ns


class ConnectionLimiter:
    """Counts the open connections of each peer. Times are monotonic."""

    def __init__(self) -> None:
        self._peers: dict[str, _Peer] = {}

    def admit(self, peer: str | None, now_ns: int) -> str | None:
        """Why a connection from there is one too many; None if it is admitted, until `release`.

        Args:
            peer: see `peer_of`.
        """
        if peer is None:
            return None
        known = self._peers.pop(peer, None) or _Peer(now_ns)
        self._peers[peer] = known  # the latest is last
        self._forget()
        known.allowance = min(
            CONNECTIONS_AT_ONCE, known.allowance + (now_ns - known.at_ns) * CONNECTIONS_PER_S / 1e9
        )
        known.at_ns = now_ns
        if known.open >= MOST_PER_PEER:
            return f"more than {MOST_PER_PEER} connections from {peer}"
        if known.allowance < 1:
            return f"more than {CONNECTIONS_PER_S} connections a second from {peer}"
        known.allowance -= 1
        known.open += 1
        return None

    def release(self, peer: str | None) -> None:
        """An admitted connection is closed."""
        if peer is not None:
            self._peers[peer].open -= 1

    def _forget(self) -> None:
        if len(self._peers) > 2 * _MOST_GONE:
            gone = [peer for peer, known in self._peers.items() if not known.open]
            for peer in gone[:-_MOST_GONE]:
                del self._peers[peer]


def peer_of(address: str) -> str | None:
    """Under what an IP address is counted; None for this machine's own."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return None if ip.is_loopback else str(ipaddress.ip_network((ip, 64), strict=False))
        ip = ip.ipv4_mapped
    return None if ip.is_loopback else str(ip)
