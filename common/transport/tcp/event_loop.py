"""One thread that polls sockets, and runs what other threads hand to it."""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable

from fanlight.common.transport.tcp.sockets import Waker

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class EventLoop:
    """`start`, `call` and `join` are thread-safe; the rest belongs to the thread.

    Args:
        run: the body of the thread, which calls `poll` until it ends.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker, READ)
        self._calls: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=run, name=name, daemon=True)

    @property
    def started(self) -> bool:
        return self._thread.ident is not None

    def start(self) -> None:
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the thread, soon."""
        self._calls.append(function)
        self._waker.wake()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def watch(self, sock: socket.socket, handler: Callable[[int], None], events: int = READ) -> None:
        """Call `handler` with those of `events` (READ, WRITE) for which the socket is ready."""
        if sock in self._selector.get_map():
            self._selector.modify(sock, events, handler)
        else:
            self._selector.register(sock, events, handler)

    def forget(self, sock: socket.socket) -> None:
        if sock in self._selector.get_map():
            self._selector.unregister(sock)

    def poll(self, timeout_s: float) -> None:
        """Wait for sockets or calls, and handle all that are ready."""
        for key, events in self._selector.select(timeout_s):
            if key.fileobj is self._waker:
                self._waker.clear()
            else:
                key.data(events)
        while self._calls:
            self._calls.popleft()()

    def close(self) -> None:
        self._selector.close()
        self._waker.close()
