"""A TCP proxy that is a slow line: so many bits per second towards the client, and little on the way."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from scripts.lib.ports import LOOPBACK, free_ports

_PIECE_BYTES: Final = 1024
# The kernel doubles it. What waits in the proxy's own socket is part of the line.
_RECEIVE_BYTES: Final = 4096
_FREE: Final = 0.0


class SlowLine:
    """Passes on what comes, one thread per direction and connection.

    Attributes:
        port: where it listens.
        bits_per_s: of each connection, towards the client; 0 is without limit. May be changed at any time.
    """

    def __init__(self, target_port: int) -> None:
        self.port = free_ports(1)[0]
        self.bits_per_s = _FREE
        self._target_port = target_port
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server((LOOPBACK, self.port))
        self._listening.settimeout(0.1)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in list(self._threads):
            thread.join()
        self._listening.close()

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name="slow line", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listening.accept()
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        target = socket.socket()
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _RECEIVE_BYTES)
        with client, target, contextlib.suppress(OSError):
            target.connect((LOOPBACK, self._target_port))
            for sock in (client, target):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with selectors.DefaultSelector() as selector:
                selector.register(client, selectors.EVENT_READ)
                selector.register(target, selectors.EVENT_READ)
                self._pass_on(selector, client, target)

    def _pass_on(
        self, selector: selectors.BaseSelector, client: socket.socket, target: socket.socket
    ) -> None:
        free_s = time.monotonic()  # from then on the line takes the next bytes
        while not self._stopping.is_set():
            wait_s = free_s - time.monotonic()
            if wait_s > 0 and self._stopping.wait(wait_s):
                return
            for key, _ in selector.select(0.1):
                if key.fileobj is client:
                    data = client.recv(_PIECE_BYTES)
                    target.sendall(data)
                else:
                    data = target.recv(_PIECE_BYTES)
                    client.sendall(data)
                    rate = self.bits_per_s
                    free_s = time.monotonic() + (8 * len(data) / rate if rate else 0)
                if not data:
                    return
