"""What pika knows of the line to the broker, and how a connection is ended that leads nowhere."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pika import SelectConnection, frame

from common.fanout.broker.pika_internals import give_up, line_of, send_heartbeat
from common.fanout.silence import NetworkSilent
from tests.unit.common.fanout.broker.test_pika_internals import real_connection


def over(sock: socket.socket | None) -> SelectConnection:
    """A connection of which only the socket matters."""
    transport = SimpleNamespace(_sock=sock)
    ended: list[Exception] = []
    made = SimpleNamespace(_transport=transport, _terminate_stream=ended.append, ended=ended)
    return cast("SelectConnection", made)


@pytest.fixture
def pair() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    with client, accepted:
        yield client, accepted


def test_there_is_no_line_before_there_is_a_transport() -> None:
    assert line_of(cast("SelectConnection", SimpleNamespace(_transport=None))) is None
    assert line_of(over(None)) is None


def test_the_line_is_that_of_the_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    line = line_of(over(pair[0]))
    assert line is not None
    assert line.not_sent_bytes == 0


def test_a_heartbeat_is_sent_at_once() -> None:
    with real_connection() as (connection, peer):
        send_heartbeat(connection)
        connection.ioloop.activate_poller()
        connection.ioloop.poll()
        assert peer.recv(100) == bytes(frame.Heartbeat().marshal())


def test_no_heartbeat_is_sent_while_hands_are_shaken() -> None:
    with real_connection() as (connection, peer):
        changed: Any = connection
        changed._set_connection_state(connection.CONNECTION_PROTOCOL)
        send_heartbeat(connection)
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(100)


def test_what_is_given_up_is_reset(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    connection: Any = over(client)
    error = NetworkSilent()
    give_up(connection, error)
    assert connection.ended == [error]
    client.close()
    with pytest.raises(ConnectionResetError):
        accepted.recv(1)


def test_pika_itself_can_be_ended_like_this() -> None:
    with real_connection() as (connection, peer):
        give_up(connection, NetworkSilent())
        # pika tells of it, and closes, in its next turn; here nobody asked to be told otherwise.
        with pytest.raises(NetworkSilent):
            connection.ioloop.process_timeouts()
        assert connection.is_closed
        peer.settimeout(5)
        assert peer.recv(1) == b""
