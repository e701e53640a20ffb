"""How the sockets of both sides are made and set."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from typing import Any, Final

from fanlight.common.transport.liveness import SILENT_MS, TCP_OPTIONS

# A client that takes nothing for this long is disconnected. Longer than `liveness.SILENT_MS`: the
# kernel does not tell a network that is out from a client that is suspended or reads too slowly, and such a
# client is to go on where it is. The consumer, to which everything is sent, has no such ambiguity.
CLIENT_TIMEOUT_MS: Final = 10_000
# What the operating system takes but has not sent grows stale beyond our connect; most of what waits is to
# wait where it can still be dropped (TCP_NOTSENT_LOWAT, tcp(7)).
_UNSENT_BYTES: Final = 128 * 1024

# File descriptors that are left to the rest of the process: camera, files, a hub's memory.
_FILES_KEPT: Final = 128

_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Waker:
    """Wakes a poller that waits for sockets. `wake` is thread-safe."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)

    def fileno(self) -> int:
        return self._inside.fileno()

    def wake(self) -> None:
        # Full: it is awake already. Closed: nobody waits any more.
        with contextlib.suppress(OSError):
            self._outside.send(b"\0")

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            self._inside.recv(4096)

    def close(self) -> None:
        self._inside.close()
        self._outside.close()


def most_connections(most: int) -> int:
    """How many connections of so many the limit of file descriptors leaves room for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else min(most, max(1, files - _FILES_KEPT))


def tune(sock: socket.socket, silent_ms: int = SILENT_MS) -> None:
    """Small messages leave at once, a dead peer is noticed, little waits beyond our connect."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {**TCP_OPTIONS, "TCP_USER_TIMEOUT": silent_ms}
    options |= {"TCP_NODELAY": 1, "TCP_NOTSENT_LOWAT": _UNSENT_BYTES}
    for name, value in options.items():
        option = getattr(socket, name, None)  # not every system has each of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def listen(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listen at every address of the host name. Raises OSError."""
    listening: list[socket.socket] = []
    absent: OSError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, sockaddr in dict.fromkeys(found):
            try:
                listening.append(_listening(family, kind, protocol, sockaddr, backlog))
            except OSError as error:
                # A name may have addresses that this machine lacks, such as ::1 without IPv6.
                if error.errno not in _NOT_HERE:
                    raise
                absent = error
    except OSError:
        for sock in listening:
            sock.close()
        raise
    if absent is not None and not listening:
        raise absent
    return listening


def _listening(
    family: int, kind: int, protocol: int, sockaddr: tuple[Any, ...], backlog: int
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(sockaddr)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
