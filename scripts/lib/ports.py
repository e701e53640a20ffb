"""Finds free TCP ports on the loopback address."""

from __future__ import annotations

import functools
import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

LOOPBACK = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PARTS = 32
_MOST_TRIED = 2000
# Of the console and the metrics of a RabbitMQ at its usual ports, and of its nodes to each other.
_TAKEN = frozenset({15672, 15692, 25672})


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing listens on.

    They lie below the range from which the system takes the ports of outgoing connections. A client
    that keeps trying to connect to a stopped broker's port in that range would in time be given this
    very port as its own, connect to itself, and keep the broker from coming back.

    Nobody else is given a port before it is used: programs that run at a time draw from parts of their own,
    and none is given the same port twice before all of its part were given.
    """
    order, found = _order(os.getpid()), list[int]()
    for port in islice(order, _MOST_TRIED):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports")


@functools.cache
def _order(process_id: int) -> Iterator[int]:
    """In which the ports are tried; goes on for ever. A forked process has an order of its own."""
    top = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32768
    low, high = (10240, top) if top > 12000 else (49152, 65535)
    width = (high - low) // _PARTS
    low += _part(process_id) * width
    ports = [port for port in range(low, low + width) if port not in _TAKEN]
    random.shuffle(ports)

    def endless() -> Iterator[int]:
        while True:
            yield from ports

    return endless()


def _part(process_id: int) -> int:
    """A part that no other process has, as long as there are some left."""
    for shift in range(_PARTS):
        part = (process_id + shift) % _PARTS
        held = socket.socket(socket.AF_UNIX)
        with suppress(OSError):
            # An abstract name (Linux): it is free again when this process has ended, however that happens.
            held.bind(f"\0fanlight-ports-{part}")
            held.detach()  # stays open
            return part
        held.close()
    return process_id % _PARTS


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
