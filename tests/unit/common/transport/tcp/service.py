"""A listener whose owner records what happens, and connections to it."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import Final

from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.control import ClockRequest, ControlMessage
from fanlight.common.model.errors import FanlightError
from fanlight.common.transport.tcp.listener import Client, Listener, ListenerOwner
from scripts.lib.ports import LOOPBACK, free_ports
from tests.support.timing import scaled
from tests.unit.common.transport.tcp.build import HELLO, STREAM, WELCOME, Peer, Recorder

TITLE: Final = "the listener under test"


class Owner(Recorder, ListenerOwner):
    """Welcomes every client that is admitted."""

    def admitted(self) -> Client:
        client = self.expect("admitted")
        assert isinstance(client, Client)
        return client

    def on_listening(self) -> None:
        self.note("listening")

    def on_admitted(self, client: Client, *, follow: bool) -> None:
        client.sock.sendall(WELCOME)
        self.note("admitted", client)

    def on_follow(self, client: Client, follow: bool) -> None:
        self.note("follow", follow)

    def on_clock(self, client: Client, request: ClockRequest, received_ns: int) -> None:
        self.note("clock", (client, request, received_ns))

    def on_control(self, message: ControlMessage) -> None:
        self.note("control", message)

    def on_writable(self, client: Client) -> None:
        self.note("writable", client)

    def on_disconnected(self, client: Client) -> None:
        self.note("disconnected", client)

    def on_refused(self) -> None:
        self.note("refused")

    def on_failed(self, error: FanlightError) -> None:
        self.note("failed", error)


class Service:
    """A listener at a free port, and all that connect there. Closed as a context."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        (self.port,) = free_ports(1)
        self.address = TcpAddress(Design.THREADS, LOOPBACK, self.port)
        self.listener = Listener(self.address, owner, stream=STREAM, title=TITLE, max_clients=1000)
        self._peers = ExitStack()

    def __enter__(self) -> Service:
        self.listener.start()
        self.owner.expect("listening")
        return self

    def __exit__(self, *_: object) -> None:
        self._peers.close()  # first of all: the listener waits a while for those that stay
        self.listener.stop(scaled(5))
        assert not self.open

    @property
    def admitted_clients(self) -> list[Client]:
        """Those that were admitted and have not left."""
        return [client for client in self.listener._clients if client.admitted]

    @property
    def open(self) -> bool:
        return any(thread.name == TITLE for thread in threading.enumerate())

    def connect(self, data: bytes = b"") -> Peer:
        """A new connection, which sends this."""
        sock = socket.create_connection((LOOPBACK, self.port), scaled(5))
        peer = Peer(self._peers.enter_context(sock))
        peer.send(data)
        return peer

    def join(self) -> tuple[Peer, Client]:
        """A client is admitted; nothing else happens meanwhile."""
        peer = self.connect(HELLO)
        client = self.owner.admitted()
        welcome = peer.message()
        assert welcome is not None
        return peer, client
