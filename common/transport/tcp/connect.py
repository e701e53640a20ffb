"""Connects a consumer to a producer that listens itself."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time

from fanlight.common.model.reasons import reason
from fanlight.common.transport.liveness import ATTEMPT_S
from fanlight.common.transport.tcp.connection import ConnectionLost
from fanlight.common.transport.tcp.sockets import Waker


def connect(host: str, port: int, waker: Waker, stopping: threading.Event) -> socket.socket | None:
    """A socket that is connected; None if it is to stop.

    Args:
        waker: woken when `stopping` is set.

    Raises:
        ConnectionLost: there is no such host, or nobody answers.
    """
    refusal: OSError = TimeoutError()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A producer listens at 127.0.0.1, unless told otherwise: at ::1 another user might.
        found.sort(key=lambda address: address[4][0] != "127.0.0.1")
        for family, kind, protocol, _, sockaddr in found:
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            try:
                if _wait_connected(sock, sockaddr, waker, stopping):
                    return sock
            except OSError as error:
                refusal = error
            sock.close()
            if stopping.is_set():
                return None
    except OSError as error:
        refusal = error
    raise ConnectionLost(_reason(refusal), refusal)


def _wait_connected(
    sock: socket.socket, sockaddr: tuple[object, ...], waker: Waker, stopping: threading.Event
) -> bool:
    deadline_s = time.monotonic() + ATTEMPT_S
    code = sock.connect_ex(sockaddr)
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    poll.register(waker, select.POLLIN)
    while (left_s := deadline_s - time.monotonic()) > 0 and not stopping.is_set():
        for descriptor, _ in poll.poll(left_s * 1000):
            if descriptor == sock.fileno():
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
                # TCP simultaneous open: a socket can connect to itself at an ephemeral port without
                # listener.
                if sock.getsockname() == sock.getpeername():
                    raise ConnectionRefusedError
                return True
            waker.clear()
    return False


def _reason(error: OSError) -> str:
    """Why there is no connection, for people."""
    if isinstance(error, socket.gaierror):
        return "no such host: check --url"
    if isinstance(error, TimeoutError) and not error.strerror:
        return "nothing answers in time: is the network up?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers (connection refused): is the producer running?"
    return reason(error)
