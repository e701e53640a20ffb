"""How many may come in, and how fast, by where they come from. Pure.

This machine's own processes are held to the total alone: many viewers of one host are what we are for.
"""

from __future__ import annotations

import ipaddress
from typing import Final

# Connections of one address, or of one network of 64 bits under IPv6, where everybody has one of these.
MOST_PER_PEER: Final = 64
# So many of them at once, and then so many a second: who was cut off comes back a few times, and slower.
ARRIVALS_AT_ONCE: Final = 64
ARRIVALS_PER_S: Final = 10
# Addresses to remember that have no connection any more.
_MOST_GONE: Final = 1024


class _Peer:
    __slots__ = ("at_ns", "inside", "left")

    def __init__(self, now_ns: int) -> None:
        self.inside = 0
        self.left = float(ARRIVALS_AT_ONCE)
        self.at_ns = now_ns


class ConnectionLimiter:
    """Counts who is inside. Times are monotonic."""

    def __init__(self) -> None:
        self._peers: dict[str, _Peer] = {}

    def enter(self, peer: str | None, now_ns: int) -> str | None:
        """Why a connection from there is one too many; None if it is let in, which `leave` undoes.

        Args:
            peer: see `peer_of`.
        """
        if peer is None:
            return None
        known = self._peers.pop(peer, None) or _Peer(now_ns)
        self._peers[peer] = known  # the latest is last
        self._forget()
        known.left = min(ARRIVALS_AT_ONCE, known.left + (now_ns - known.at_ns) * ARRIVALS_PER_S / 1e9)
        known.at_ns = now_ns
        if known.inside >= MOST_PER_PEER:
            return f"more than {MOST_PER_PEER} connections from {peer}"
        if known.left < 1:
            return f"more than {ARRIVALS_PER_S} connections a second from {peer}"
        known.left -= 1
        known.inside += 1
        return None

    def leave(self, peer: str | None) -> None:
        """A connection that was let in is gone."""
        if peer is not None:
            self._peers[peer].inside -= 1

    def _forget(self) -> None:
        if len(self._peers) > 2 * _MOST_GONE:
            gone = [peer for peer, known in self._peers.items() if not known.inside]
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
