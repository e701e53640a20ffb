"""What a link says when it is not a broker that answers, or a broker that lacks a permission."""

from __future__ import annotations

import logging
import shlex
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

import pytest
from pika.channel import Channel

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import FanlightError
from fanlight.common.transport.amqp.broker_check import broker_checks
from fanlight.common.transport.amqp.link import Link
from scripts.private_node import PrivateNode
from tests.support.addresses import broker_address
from tests.support.timing import scaled, wait_until

Answer = Callable[[socket.socket], None]


class Owner:
    """Declares an exchange, as a producer does."""

    def __init__(self) -> None:
        self.told: Queue[str] = Queue()

    def on_channel(self, channel: Channel) -> None:
        channel.exchange_declare("fanlight.words", "fanout", callback=lambda _: self.told.put("declared"))

    def on_down(self) -> None: ...

    def failed(self, error: FanlightError) -> None:
        self.told.put(str(error))


def outcome(address: BrokerAddress) -> str:
    """What a new link ends with: `declared`, or the error that it ends with."""
    owner = Owner()
    link = Link(address, owner, title="test link", on_failed=owner.failed)
    link.start()
    try:
        return owner.told.get(timeout=scaled(30))
    finally:
        link.stop(2)


def hang_up(_peer: socket.socket) -> None: ...


def reset(peer: socket.socket) -> None:
    peer.recv(8)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def greet(peer: socket.socket) -> None:
    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    peer.recv(64)


def greet_and_wait(peer: socket.socket) -> None:
    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    while peer.recv(64):
        pass


def wait(peer: socket.socket) -> None:
    while peer.recv(64):
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], int]]:
    """Listens, and answers every connection in its own way; returns the port."""
    servers: list[tuple[socket.socket, threading.Thread]] = []

    def begin(answer: Answer) -> int:
        server = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer, suppress(OSError):
                        answer(peer)

        thread = threading.Thread(target=run, name="server")
        thread.start()
        servers.append((server, thread))
        port: int = server.getsockname()[1]
        return port

    yield begin
    for server, thread in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(scaled(5))


def first_line(address: BrokerAddress, caplog: pytest.LogCaptureFixture) -> str:
    """What a link logs first, and the doctor says the same."""
    link = Link(address, Owner(), title="test link")

    def lines() -> list[str]:
        return [message for message in caplog.messages if message.startswith("test link: ")]

    link.start()
    try:
        wait_until(lambda: bool(lines()), 20, "the link logs")
    finally:
        link.stop(2)
    return lines()[0]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (hang_up, "hangs up at once: a proxy or container whose broker is not up yet"),
        (reset, "hangs up at once: a proxy or container whose broker is not up yet"),
        (greet, "does not speak AMQP 0-9-1: it says 'SSH-2.0-OpenSSH_9"),
        (greet_and_wait, "does not speak AMQP 0-9-1: it says 'SSH-2.0-OpenSSH_9"),
        (wait, "the broker does not answer in time: it hangs, or is slow, or its port is another"),
    ],
)
@pytest.mark.brokerless
def test_what_is_no_broker_is_named(
    answer: Answer, says: str, serve: Callable[[Answer], int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="fanlight")
    # Whoever answers is given the time to, on a busy machine too; but for one, his end is not waited for.
    timeout_ms = 500 if answer is wait else 3000 if answer is greet_and_wait else 20_000
    address = broker_address(f"amqp://127.0.0.1:{serve(answer)}/v?connection_timeout={timeout_ms}")
    assert says in first_line(address, caplog)
    (check,) = broker_checks(address, "consumer", "s").values()
    with pytest.raises(FanlightError, match=says.partition(":")[0]):
        check()


@pytest.mark.brokerless
def test_a_proxy_that_hangs_up_on_tls_may_have_a_broker_later(
    serve: Callable[[Answer], int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="fanlight")
    address = broker_address(f"amqps://127.0.0.1:{serve(hang_up)}/v")
    assert "hangs up at once" in first_line(address, caplog)


@pytest.mark.brokerless
def test_the_doctor_finds_out_that_it_is_the_port_of_the_console() -> None:
    """Which waits in silence for the end of a request: a link can only tell by the port's number."""

    class Console(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Console) as server:
        thread = threading.Thread(target=server.serve_forever, name="console")
        thread.start()
        try:
            address = broker_address(f"amqp://127.0.0.1:{server.server_port}/v?connection_timeout=2000")
            (check,) = broker_checks(address, "consumer", "s").values()
            with pytest.raises(FanlightError, match="the broker's console"):
                check()
        finally:
            server.shutdown()
            thread.join(scaled(5))


@pytest.mark.brokerless
def test_a_missing_permission_is_granted_by_the_command_that_is_named(settled_node: PrivateNode) -> None:
    settled_node.ctl("add_user", "new user", "secret")
    settled_node.ctl("add_vhost", "/")
    settled_node.ctl("add_vhost", "other")
    settled_node.ctl("set_permissions", "-p", "other", "new user", "^$", "^$", "^$")
    for path, shown in (("", "may not use vhost '/'"), ("/other", "access to exchange 'fanlight.words'")):
        address = broker_address(f"amqp://new%20user:secret@127.0.0.1:{settled_node.port}{path}")
        refused = outcome(address)
        assert shown in refused
        command = refused[refused.index("rabbitmqctl ") :]
        settled_node.ctl(*shlex.split(command)[1:])
        assert outcome(address) == "declared"
