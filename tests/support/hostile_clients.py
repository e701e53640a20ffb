"""A thousand connections to a producer that break the contract, or do nothing."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from typing import Final, Self

from tests.support.tcp_wire import hello, place

_STEP_S: Final = 0.02
# What one step does: clients are many, not fast.
_OPENED_AT_ONCE: Final = 20
_DRIPS_AT_ONCE: Final = 50


class HostileClients:
    """Opens its connections one after another while it is entered, and any that was closed once more.

    In turn: one says nothing; one says hello a byte at a time; one wants frames and never reads;
    one says hello and nothing else; one breaks the contract; one goes at once and comes again.

    Attributes:
        opened: connections so far.
        full: set when all stand for the first time.
    """

    def __init__(self, url: str, stream: str, count: int) -> None:
        self.opened = 0
        self.full = threading.Event()
        self._place = place(url)
        self._hello = hello(stream, "hostile")
        self._idle_hello = hello(stream, "hostile", follow=False)
        self._sockets: list[socket.socket | None] = [None] * count
        self._said = [0] * count
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clients", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        for sock in self._sockets:
            if sock is not None:
                sock.close()

    def _run(self) -> None:
        turns = itertools.cycle(range(len(self._sockets)))
        drips = itertools.cycle(range(1, len(self._sockets), 6))
        while not self._stopping.wait(_STEP_S):
            for number in itertools.islice(turns, _OPENED_AT_ONCE):
                self._renew(number)
            for number in itertools.islice(drips, _DRIPS_AT_ONCE):
                self._drip(number)
            if self.opened >= len(self._sockets):
                self.full.set()

    def _renew(self, number: int) -> None:
        sock = self._sockets[number]
        if sock is not None and number % 6 != 5 and not _ended(sock, reads=number % 6 != 2):
            return
        if sock is not None:
            sock.close()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        self._sockets[number] = sock
        self._said[number] = 0
        self.opened += 1
        with contextlib.suppress(BlockingIOError):
            sock.connect(self._place)
        first = {2: self._hello, 3: self._idle_hello, 4: b"GET / HTTP/1.1\r\n\r\n"}.get(number % 6)
        if first is not None:
            with contextlib.suppress(OSError):
                sock.send(first)

    def _drip(self, number: int) -> None:
        sock, at = self._sockets[number], self._said[number]
        if sock is not None and at < len(self._hello) - 1:
            with contextlib.suppress(OSError):
                self._said[number] += sock.send(self._hello[at : at + 1])


def _ended(sock: socket.socket, *, reads: bool) -> bool:
    try:
        return not sock.recv(65536, 0 if reads else socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
