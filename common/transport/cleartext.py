"""Warns once per process that data crosses a network unencrypted."""

from __future__ import annotations

import ipaddress
import logging
import threading

_LOG = logging.getLogger(__name__)
_once = threading.Lock()


def warn_unencrypted(peer: str | None, warning: str) -> None:
    """Log the warning, unless one was logged before or the peer is this machine. Thread-safe.

    Args:
        peer: the IP address of the other end; None if unknown.
        warning: with `%s` for the address.
    """
    # The lock is never released, so that only the first call acquires it.
    if peer is not None and not is_loopback(peer) and _once.acquire(blocking=False):
        _LOG.warning(warning, peer)


def is_loopback(address: str) -> bool:
    """Whether this is a loopback IP address. False for names."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
