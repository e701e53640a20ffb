"""Says once per process that something crosses a network unprotected."""

from __future__ import annotations

import ipaddress
import logging
import threading

_LOG = logging.getLogger(__name__)
_once = threading.Lock()


def warn_unencrypted(peer: str | None, warning: str) -> None:
    """Warn, unless that was done before or the peer is this machine. Thread-safe.

    Args:
        peer: the address that the connection really goes to; None if it is not known.
        warning: with `%s` for the address.
    """
    # The lock is never given back: whoever gets it is the first.
    if peer is not None and not is_loopback(peer) and _once.acquire(blocking=False):
        _LOG.warning(warning, peer)


def is_loopback(address: str) -> bool:
    """Whether what goes there stays on this machine. Anything that is no IP address does not."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
