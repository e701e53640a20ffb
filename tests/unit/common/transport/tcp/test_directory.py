"""The directory of a real publisher, and of peers that are not quite one."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pytest

from fanlight.common.model.address import Design, TcpAddress
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.errors import FanlightError, TokenRefused
from fanlight.common.transport import PublisherEvents
from fanlight.common.transport.live_list import Listed
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.directory import TcpDirectory
from fanlight.common.transport.tcp.multiplex import MultiplexPublisher
from fanlight.common.transport.tcp.threads import ThreadsPublisher
from fanlight.common.transport.tcp.wire import MessageKind
from scripts.lib.ports import LOOPBACK, free_ports
from tests.support.timing import scaled, wait_until
from tests.unit.common.transport.tcp.build import ANNOUNCEMENT, STREAM, WELCOME, Peer

DESIGNS: Final = {Design.THREADS: ThreadsPublisher, Design.MULTIPLEX: MultiplexPublisher}
TOKEN: Final = "0123456789abcdef"


class Announcing(PublisherEvents):
    def announcement(self) -> Announcement:
        return ANNOUNCEMENT


@contextmanager
def publishing(address: TcpAddress) -> Iterator[None]:
    made = DESIGNS[address.design](address, stream=STREAM, max_age_s=60, events=Announcing())
    made.start()
    try:
        yield
    finally:
        made.stop(scaled(5))


class Told:
    """A directory that runs, and what its user was told."""

    def __init__(self, address: TcpAddress) -> None:
        self.said: queue.SimpleQueue[Listed | FanlightError] = queue.SimpleQueue()
        self.directory = TcpDirectory(address, name="l", on_change=self.said.put, on_failed=self.said.put)
        self.directory.start()

    def next(self) -> Listed | FanlightError:
        return self.said.get(timeout=scaled(20))


@pytest.fixture(params=Design)
def address(request: pytest.FixtureRequest) -> TcpAddress:
    return TcpAddress(request.param, LOOPBACK, free_ports(1)[0])


@pytest.fixture
def tell() -> Iterator[Callable[[TcpAddress], Told]]:
    told: list[Told] = []

    def start(address: TcpAddress) -> Told:
        told.append(Told(address))
        return told[-1]

    yield start
    for each in told:
        each.directory.stop(scaled(5))


Tell = Callable[[TcpAddress], Told]


def test_the_stream_is_listed_at_once_until_its_producer_ends(address: TcpAddress, tell: Tell) -> None:
    with publishing(address):
        told = tell(address)
        assert told.next() == (ANNOUNCEMENT,)
        assert told.directory.complete
    assert told.next() == ()
    with publishing(address):
        assert told.next() == (ANNOUNCEMENT,), "it comes back by itself"


def test_with_a_token_only_who_knows_it_is_told(address: TcpAddress, tell: Tell) -> None:
    with publishing(replace(address, token=TOKEN)):
        assert tell(replace(address, token=TOKEN)).next() == (ANNOUNCEMENT,)
        for token in (None, "another token...."):
            assert isinstance(tell(replace(address, token=token)).next(), TokenRefused)


@pytest.fixture
def peer(tell: Tell) -> Iterator[tuple[Told, Peer]]:
    """A directory, and the other end of its connection, which has read the hello."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        listening.settimeout(scaled(10))
        told = tell(TcpAddress(Design.THREADS, LOOPBACK, listening.getsockname()[1]))
        sock, _ = listening.accept()
        with sock:
            peer = Peer(sock)
            hello = peer.message()
            assert hello is not None
            assert wire.read_hello(hello).directory
            yield told, peer


def test_a_producer_of_an_earlier_version_is_said_to_be_one(
    peer: tuple[Told, Peer], caplog: pytest.LogCaptureFixture
) -> None:
    """It refuses the name of the stream, as any client's that asks for another one."""
    told, other = peer
    other.send(wire.refusal_message("stream is 'streams': allowed is 'cam'", "stream"))
    wait_until(lambda: "of an earlier version, which lists no streams" in caplog.text, 20)
    assert not told.directory.complete
    assert told.said.empty()


def test_what_a_producer_should_not_send_is_refused_and_counted(peer: tuple[Told, Peer]) -> None:
    told, other = peer
    wrong = ANNOUNCEMENT.to_json().replace(b"jpeg", b"JPEG")
    other.send(WELCOME + wire.message(MessageKind.ANNOUNCEMENT, {}, wrong))
    other.send(wire.message(MessageKind.WELCOME, {}))
    other.send(wire.announcement_message(ANNOUNCEMENT))
    assert told.next() == (ANNOUNCEMENT,)
    assert told.directory.refused == 2
    other.send(wire.message(MessageKind.ANNOUNCEMENT, {}, bytes(5000)))
    assert told.next() == (), "one that is too large ends the connection"
