"""A listener with somebody behind it who notes what happens, and connections to it."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import ExitStack
from typing import Final

from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.control import ClockRequest, ControlMessage
from fanlight.common.model.errors import FanlightError
from fanlight.common.transport.tcp.listener import Client, Listener
from scripts.lib.ports import LOOPBACK, free_ports
from tests.support.timing import scaled
from tests.unit.common.transport.tcp.build import HELLO, STREAM, WELCOME, Peer

TITLE: Final = "the listener under test"


class Owner:
    """A `ListenerOwner`. Greets whoever is admitted, and takes everything down in the order it happens."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self.threads: set[str] = set()

    def expect(self, what: str) -> object:
        """The next thing that happens has to be this; returns what it is about."""
        try:
            happened, about = self.told.get(timeout=scaled(5))
        except queue.Empty:
            raise AssertionError(f"waited for {what}: nothing happened") from None
        assert happened == what, about
        return about

    def admitted(self) -> Client:
        client = self.expect("admitted")
        assert isinstance(client, Client)
        return client

    def until(self, what: str) -> list[tuple[str, object]]:
        """All that happens up to this, which is included."""
        seen: list[tuple[str, object]] = []
        while not seen or seen[-1][0] != what:
            seen.append(self.told.get(timeout=scaled(5)))
        return seen

    @property
    def quiet(self) -> bool:
        """Nothing has happened that was not asked about."""
        return self.told.empty()

    def _note(self, what: str, about: object = None) -> None:
        self.threads.add(threading.current_thread().name)
        self.told.put((what, about))

    def on_listening(self) -> None:
        self._note("listening")

    def on_admitted(self, client: Client, *, follow: bool) -> None:
        client.sock.sendall(WELCOME)
        self._note("admitted", client)

    def on_follow(self, client: Client, follow: bool) -> None:
        self._note("follow", follow)

    def on_clock(self, client: Client, request: ClockRequest, received_ns: int) -> None:
        self._note("clock", (client, request, received_ns))

    def on_control(self, message: ControlMessage) -> None:
        self._note("control", message)

    def on_writable(self, client: Client) -> None:
        self._note("writable", client)

    def on_disconnected(self, client: Client) -> None:
        self._note("disconnected", client)

    def on_refused(self) -> None:
        self._note("refused")

    def on_failed(self, error: FanlightError) -> None:
        self._note("failed", error)


class Service:
    """A listener at a free port, and everybody who connect there. Closed as a context."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        (self.port,) = free_ports(1)
        self.address = TcpAddress(Design.THREADS, LOOPBACK, self.port)
        self.listener = Listener(self.address, owner, stream=STREAM, title=TITLE)
        self._peers = ExitStack()

    def __enter__(self) -> Service:
        self.listener.start()
        self.owner.expect("listening")
        return self

    def __exit__(self, *_: object) -> None:
        self._peers.close()  # first of all: the listener waits a while for those who do not go
        self.listener.stop(scaled(5))
        assert not self.open

    @property
    def admitted_clients(self) -> list[Client]:
        """Who was admitted and has not left."""
        return [client for client in self.listener._clients if client.admitted]

    @property
    def open(self) -> bool:
        return any(thread.name == TITLE for thread in threading.enumerate())

    def connect(self, data: bytes = b"") -> Peer:
        """Somebody connects, and says this."""
        sock = socket.create_connection((LOOPBACK, self.port), scaled(5))
        peer = Peer(self._peers.enter_context(sock))
        peer.send(data)
        return peer

    def join(self) -> tuple[Peer, Client]:
        """Somebody comes in; nothing else happens meanwhile."""
        peer = self.connect(HELLO)
        client = self.owner.admitted()
        welcome = peer.message()
        assert welcome is not None
        return peer, client
