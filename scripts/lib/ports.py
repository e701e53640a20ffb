"""Finds free TCP ports on the loopback address."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing listens on.

    They lie below the range from which the system takes the ports of outgoing connections. A client
    that keeps trying to connect to a stopped broker's port in that range would in time be given this
    very port as its own, connect to itself, and keep the broker from coming back.
    """
    top = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32768
    low, high = (10240, top) if top > 12000 else (49152, 65535)
    # Suites that run at a time draw from parts of their own: nobody else is given a port before it is used.
    width = (high - low) // 16
    low += os.getpid() % 16 * width
    high = low + width
    found: list[int] = []
    for port in random.sample(range(low, high), min(high - low, 2000)):
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise OSError(f"no {count} free ports between {low} and {high}")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """True if a server could listen there now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
