"""Limits what waits in a socket: it cannot be dropped any more."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

# What the kernel takes although the other end does not read.
_SEND_BUFFER_BYTES: Final = 128 * 1024
_NOT_SENT_BYTES: Final = 32 * 1024


def limit_buffers(transport: asyncio.Transport | None) -> None:
    """Send each piece when the kernel has taken the one before it, and let it take little."""
    if transport is None:
        return
    # Not 0: asyncio's TLS would count an empty buffer as full, and wait for ever.
    transport.set_write_buffer_limits(high=1, low=0)
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES)
