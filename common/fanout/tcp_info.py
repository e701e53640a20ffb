"""What the operating system knows of a TCP connection: `struct tcp_info` of Linux (tcp(7), linux/tcp.h)."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import Any, Final, NamedTuple

# It only ever grew at its end. Eight bytes, then 24 times 32 bits, four times 64, and 32 again.
_LAYOUT: Final = struct.Struct("=8B24I4Q3I")
_RETRANSMITS, _PROBES = 2, 3
_UNACKED = 8 + 4
_LAST_SENT, _LAST_DATA, _LAST_ACK = 8 + 9, 8 + 11, 8 + 12
_NOT_SENT = 8 + 24 + 4 + 2

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # linger, for 0 s


class TcpInfo(NamedTuple):
    """Times are in milliseconds, until now.

    Attributes:
        retransmits: how often in succession what is to be acknowledged was sent again.
        probes: how often in succession the other side was asked whether it is there (or has room again).
        unacked: segments that were sent and not acknowledged.
        not_sent_bytes: what the system has taken and not sent for the first time.
        sent_ms: since data were sent, for the first time or again.
        heard_ms: since anything came.
    """

    retransmits: int
    probes: int
    unacked: int
    not_sent_bytes: int
    sent_ms: int
    heard_ms: int


def tcp_info(sock: Any) -> TcpInfo | None:
    """None where there is no such thing: another system, another kind of socket, one that is closed."""
    if sys.platform != "linux":
        return None
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAYOUT.size)
    except OSError:
        return None
    return parse(raw)


def parse(raw: bytes) -> TcpInfo | None:
    """None if it is shorter than that of Linux 4.6."""
    if len(raw) < _LAYOUT.size:
        return None
    fields = _LAYOUT.unpack_from(raw)
    return TcpInfo(
        retransmits=fields[_RETRANSMITS],
        probes=fields[_PROBES],
        unacked=fields[_UNACKED],
        not_sent_bytes=fields[_NOT_SENT],
        sent_ms=fields[_LAST_SENT],
        heard_ms=min(fields[_LAST_DATA], fields[_LAST_ACK]),
    )


def reset_on_close(sock: Any) -> None:
    """Closing it forgets what was not sent or not acknowledged, instead of trying for minutes."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
