from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from fanlight.common.model.errors import TokenRefused, WireFormatError
from fanlight.common.transport.tcp import connection as connections
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.connection import Connection, ConnectionLost
from fanlight.common.transport.tcp.token import Challenge
from fanlight.common.transport.tcp.wire import Hello, MessageKind, message
from tests.unit.common.transport.tcp.build import (
    CLOCK_REQUEST,
    HELLO,
    NAME,
    STREAM,
    WELCOME,
    Peer,
    follow,
    read_one,
)

REQUEST = wire.control_message(CLOCK_REQUEST)
TOKEN = "0123456789abcdef"
KNOWING = Hello(STREAM, NAME, follow=True, token=True)
FRAME = message(MessageKind.FRAME, {}, b"picture")


@pytest.fixture
def pair() -> Iterator[tuple[Connection, Peer]]:
    """Our end of a connection, which has said its hello, and the producer's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours, Hello(STREAM, NAME, follow=True)), Peer(theirs)


@pytest.fixture
def ours(pair: tuple[Connection, Peer]) -> Connection:
    return pair[0]


@pytest.fixture
def peer(pair: tuple[Connection, Peer]) -> Peer:
    return pair[1]


@pytest.fixture
def welcomed(ours: Connection, peer: Peer) -> Connection:
    peer.send(WELCOME)
    ours.receive()
    peer.message()
    return ours


def filled(ours: Connection) -> None:
    """Send until nothing more is taken."""
    while not ours.waits_to_send:
        ours.send(REQUEST)


# Being admitted ------------------------------------------------------------------------------------------


def test_the_hello_comes_first_and_what_is_taken_at_once_does_not_wait(
    ours: Connection, peer: Peer
) -> None:
    ours.send(REQUEST)
    assert not ours.waits_to_send
    assert peer.message() == read_one(HELLO)
    assert peer.message() == read_one(REQUEST)


def test_what_comes_with_the_welcome_is_not_lost(ours: Connection, peer: Peer) -> None:
    peer.send(WELCOME + FRAME + REQUEST)
    assert ours.receive() == ([read_one(FRAME), read_one(REQUEST)], False)
    peer.send(WELCOME)
    assert ours.receive()[0] == [read_one(WELCOME)], "for those that read messages to refuse"


def test_a_part_of_a_welcome_is_none(ours: Connection, peer: Peer) -> None:
    peer.send(WELCOME[:-1])
    assert ours.receive() == ([], False)
    assert not ours.welcomed
    peer.send(WELCOME[-1:])
    assert ours.receive() == ([], False)
    assert ours.welcomed


# The token ----------------------------------------------------------------------------------------------


@pytest.fixture
def knowing() -> Iterator[tuple[Connection, Peer, Challenge]]:
    """Our end of a connection that knows a token, and a producer that has heard its hello."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection, peer = Connection(ours, Hello(STREAM, NAME, follow=True), TOKEN), Peer(theirs)
        hello = peer.message()
        assert hello is not None
        assert wire.read_hello(hello) == KNOWING
        yield connection, peer, Challenge(TOKEN, "0" * 32)


def test_a_challenge_is_answered_and_the_welcome_is_checked(
    knowing: tuple[Connection, Peer, Challenge],
) -> None:
    ours, peer, challenge = knowing
    peer.send(challenge.message)
    assert ours.receive() == ([], False)
    answer = peer.message()
    assert answer is not None
    welcome = challenge.welcome(KNOWING, answer)
    assert welcome is not None
    peer.send(welcome + FRAME)
    messages, _ = ours.receive()
    assert ours.welcomed
    assert [one.kind for one in messages] == [MessageKind.FRAME]


def test_a_client_with_a_token_accepts_no_welcome_without_a_proof(
    knowing: tuple[Connection, Peer, Challenge],
) -> None:
    ours, peer, challenge = knowing
    peer.send(WELCOME)
    with pytest.raises(TokenRefused, match="does not know our token"):
        ours.receive()
    peer.send(challenge.message + wire.message(MessageKind.WELCOME, {"proof": "0" * 64}))
    with pytest.raises(TokenRefused, match="does not know our token"):
        ours.receive()
    assert not ours.welcomed


def test_no_challenge_is_taken_without_a_token_and_none_twice(
    ours: Connection, peer: Peer, knowing: tuple[Connection, Peer, Challenge]
) -> None:
    challenge = knowing[2].message
    peer.send(challenge)
    with pytest.raises(WireFormatError, match="no token was announced"):
        ours.receive()
    knowing[1].send(challenge + challenge)
    with pytest.raises(WireFormatError, match="first of all"):
        knowing[0].receive()


# Receiving -----------------------------------------------------------------------------------------------


def test_it_reports_when_more_may_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_READ_BYTES", len(FRAME))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, Hello(STREAM, NAME, follow=True))
        connection.welcomed = True
        theirs.sendall(FRAME + FRAME[:-1])
        assert connection.receive() == ([read_one(FRAME)], True)
        assert connection.receive() == ([], False)
        assert connection.receive() == ([], False)


def test_the_end_is_reported(welcomed: Connection, peer: Peer) -> None:
    peer.send(FRAME)
    peer.sock.close()
    assert welcomed.receive()[0] == [read_one(FRAME)]
    with pytest.raises(ConnectionLost, match=r"^the other side ended the connection$"):
        welcomed.receive()


# Sending -------------------------------------------------------------------------------------------------


def test_what_is_not_taken_waits_and_arrives_whole(welcomed: Connection, peer: Peer) -> None:
    filled(welcomed)
    welcomed.send(follow(False))
    while welcomed.waits_to_send:
        got = peer.message()
        assert got == read_one(REQUEST), "in order"
        welcomed.flush()
    while (got := peer.message()) == read_one(REQUEST):
        pass
    assert got == read_one(follow(False))


def test_a_peer_that_does_not_read_loses_whole_messages(
    monkeypatch: pytest.MonkeyPatch, welcomed: Connection, peer: Peer
) -> None:
    filled(welcomed)
    monkeypatch.setattr(connections, "_MOST_UNSENT", len(REQUEST) + len(follow(False)))
    for _ in range(5):
        welcomed.send(REQUEST)
    welcomed.send(follow(False))  # smaller, and there may be room for it
    assert len(welcomed._unsent) <= connections._MOST_UNSENT
    while welcomed.waits_to_send:
        assert peer.message() == read_one(REQUEST)
        welcomed.flush()
    welcomed.sock.shutdown(socket.SHUT_WR)
    rest = []
    while (got := peer.message()) is not None:
        rest.append(got)
    assert {one.kind for one in rest} <= {MessageKind.CONTROL, MessageKind.FOLLOW}
    assert not peer._reader.partial, "the last one is whole"


def test_the_most_that_waits_is_bounded(welcomed: Connection) -> None:
    for _ in range(2_000):
        welcomed.send(b"x" * 1_000)
    assert 0 < len(welcomed._unsent) <= 64 * 1024


def test_a_failed_send_is_noticed_when_it_receives(ours: Connection, peer: Peer) -> None:
    peer.message()
    peer.sock.close()
    ours.send(REQUEST)
    ours.flush()
    with pytest.raises(ConnectionLost):
        ours.receive()
