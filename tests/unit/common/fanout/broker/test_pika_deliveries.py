"""How `take_deliveries` shares a connection with pika."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pika
import pytest
from pika.channel import Channel

from common.fanout.broker.deliveries import Delivery
from common.fanout.broker.pika_internals import (
    read_in_large_pieces,
    take_deliveries,
)
from tests.unit.common.fanout.broker.test_deliveries import CONSUMER, encoded, usual
from tests.unit.common.fanout.broker.test_pika_internals import (
    HEARTBEAT,
    TURNS,
    UNUSUAL,
    FakeConnection,
    Taking,
    _AsyncPlaintextTransport,
    _AsyncSSLTransport,
    open_channel,
    real_connection,
)

# take_deliveries


def test_plain_deliveries_are_taken_and_pika_never_sees_them() -> None:
    taking = Taking()
    stream = encoded(body=b"abcdefg", chunk=3) + encoded(body=b"hij", tag=6)
    taking.arrive(stream)
    assert [(delivery.tag, delivery.body) for delivery in taking.taken] == [(5, b"abcdefg"), (6, b"hij")]
    assert taking.connection.passed == []
    assert taking.connection._frame_buffer == b""


def test_what_is_taken_is_counted_as_pika_counts_it() -> None:
    # Its heartbeat checker ends a connection on which nothing seems to arrive.
    taking = Taking()
    stream = encoded(body=b"abcdefg", chunk=3) + encoded(body=b"hij", tag=6)
    taking.arrive(stream)
    assert taking.connection.bytes_received == len(stream)
    assert taking.connection.frames_received == 5 + 3


def test_what_is_not_plain_is_passed_on_and_not_counted_twice() -> None:
    taking = Taking()
    taking.arrive(HEARTBEAT)
    taking.arrive(UNUSUAL)
    assert taking.connection.passed == [HEARTBEAT, UNUSUAL]
    assert (taking.connection.bytes_received, taking.connection.frames_received) == (0, 0)
    assert taking.taken == []


def test_from_the_first_that_is_not_plain_on_everything_is_passed_on_in_order() -> None:
    taking = Taking()
    tail = encoded(tag=7)[:20]
    taking.arrive(encoded() + HEARTBEAT + encoded(tag=6) + tail)
    assert taking.tags == [5]
    # With the partial tail: what pika keeps of it is in the same buffer.
    assert taking.connection.passed == [HEARTBEAT + encoded(tag=6) + tail]
    assert taking.connection._frame_buffer == b""


def test_what_pika_has_kept_comes_before_what_arrives() -> None:
    taking = Taking()
    whole = encoded()
    taking.connection._frame_buffer = whole[:20]
    taking.arrive(whole[20:] + HEARTBEAT[:3])
    assert taking.tags == [5]
    assert taking.connection._frame_buffer == HEARTBEAT[:3]


def test_a_delivery_that_arrives_in_pieces_is_kept_until_it_is_whole() -> None:
    whole = encoded(body=b"abcdefg", chunk=3)
    for cut in range(1, len(whole)):
        taking = Taking()
        taking.arrive(whole[:cut])
        assert taking.connection._frame_buffer == whole[:cut]
        assert (taking.tags, taking.connection.bytes_received) == ([], 0)
        taking.arrive(whole[cut:] + HEARTBEAT[:3])
        assert (taking.tags, taking.connection.bytes_received) == ([5], len(whole))
        assert taking.connection._frame_buffer == HEARTBEAT[:3]
        taking.arrive(HEARTBEAT[3:])
        assert taking.connection._frame_buffer == b""
        assert taking.connection.passed == [HEARTBEAT]


def test_what_was_kept_and_proves_not_to_be_plain_is_passed_on_whole() -> None:
    taking = Taking()
    taking.arrive(UNUSUAL[:30])
    taking.arrive(UNUSUAL[30:])
    assert taking.connection.passed == [UNUSUAL]
    assert taking.connection._frame_buffer == b""


@pytest.mark.parametrize("good", [False, True])
def test_properties_are_left_out_once_they_were_called_good(good: bool) -> None:
    taking = Taking(good=good)
    taking.arrive(encoded() + encoded(tag=6) + encoded(tag=7))
    assert [delivery.properties is None for delivery in taking.taken] == [False, good, good]


def test_nothing_is_taken_once_the_channel_is_closed() -> None:
    taking = Taking()
    taking.channel.is_open = False
    taking.arrive(encoded())
    assert taking.taken == []
    assert taking.connection.passed == [encoded()]


def test_nothing_more_is_taken_once_a_delivery_has_closed_the_channel() -> None:
    taking = Taking()

    def close(_delivery: Delivery) -> bool:
        taking.channel.is_open = False
        return True

    take_deliveries(cast("Channel", taking.channel), CONSUMER, close, TURNS)
    taking.arrive(encoded() + encoded(tag=6))
    assert taking.connection.passed == [encoded(tag=6)]
    assert taking.connection.bytes_received == len(encoded())


def test_a_later_channel_of_the_same_connection_takes_over() -> None:
    # What it does not take goes to pika, not to the channel before it.
    taking = Taking()
    later: list[Delivery] = []

    def on_delivery(delivery: Delivery) -> bool:
        later.append(delivery)
        return True

    channel = SimpleNamespace(channel_number=2, is_open=True, connection=taking.connection)
    take_deliveries(cast("Channel", channel), "ctag2.abc", on_delivery, TURNS)
    taking.arrive(encoded(channel=2, consumer="ctag2.abc", tag=8))
    taking.arrive(encoded())
    assert [delivery.tag for delivery in later] == [8]
    assert taking.taken == []
    assert taking.connection.passed == [encoded()]


# The socket


def test_what_the_socket_has_is_read_and_taken(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, peer = pair
    taking = Taking(ours)
    peer.sendall(encoded() + HEARTBEAT)
    taking.poll()
    assert taking.tags == [5]
    assert taking.connection.passed == [HEARTBEAT]
    assert (taking.transport.left_to_pika, taking.transport.aborted) == (0, [])


def test_no_more_is_read_at_once_than_the_transport_was_told(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, peer = pair
    kind = type("_AsyncPlaintextTransport", (_AsyncPlaintextTransport,), {"_MAX_RECV_BYTES": 10})
    taking = Taking(ours, kind)
    peer.sendall(encoded())
    taking.poll()
    assert taking.connection._frame_buffer == encoded()[:10]


def test_the_end_of_the_stream_is_pikas_business(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, peer = pair
    taking = Taking(ours)
    peer.close()
    taking.poll()
    assert (taking.transport.left_to_pika, taking.transport.aborted) == (1, [])


def test_a_socket_that_cannot_be_read_is_pikas_business(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _peer = pair
    taking = Taking(ours)
    taking.poll()  # nothing there: BlockingIOError
    assert (taking.transport.left_to_pika, taking.transport.aborted) == (1, [])
    assert taking.connection.passed == []


def test_an_exception_while_a_delivery_is_handled_ends_the_connection(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, peer = pair
    taking = Taking(ours)
    error = RuntimeError("handler")

    def fail(_delivery: Delivery) -> bool:
        raise error

    take_deliveries(cast("Channel", taking.channel), CONSUMER, fail, TURNS)
    peer.sendall(encoded())
    taking.poll()
    assert taking.transport.aborted == [error]


def test_an_exception_of_pikas_own_decoder_ends_the_connection(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, peer = pair
    taking = Taking(ours)
    with pytest.MonkeyPatch.context() as patch:
        error = pika.exceptions.InvalidFrameError("no frame")

        def fail(_self: FakeConnection, _data: bytes) -> None:
            raise error

        patch.setattr(FakeConnection, "_on_data_available", fail)
        take_deliveries(cast("Channel", taking.channel), CONSUMER, taking.on_delivery, TURNS)
        peer.sendall(HEARTBEAT)
        taking.poll()
    assert taking.transport.aborted == [error]


def test_under_tls_pika_reads_and_the_deliveries_are_taken_all_the_same() -> None:
    # Decrypted bytes may wait where no poller sees them; pika knows when.
    taking = Taking(kind=_AsyncSSLTransport)
    assert taking.transport.readers == {}
    taking.arrive(encoded())
    assert taking.tags == [5]


# All of it, in pika itself


def test_in_pika_itself_the_usual_and_the_unusual_arrive_each_by_its_way_and_in_order() -> None:
    with real_connection() as (connection, peer):
        counting: Any = connection
        read_in_large_pieces(connection)
        channel = open_channel(connection)
        arrived: list[tuple[str, int, bytes]] = []

        def by_pika(_channel: object, method: Any, _properties: object, body: bytes) -> None:
            arrived.append(("pika", method.delivery_tag, body))

        def plainly(delivery: Delivery) -> bool:
            arrived.append(("plain", delivery.tag, delivery.body))
            return delivery.properties is not None

        channel._consumers[CONSUMER] = by_pika
        take_deliveries(channel, CONSUMER, plainly, TURNS)
        counting.ioloop.activate_poller()
        third, fourth = encoded(tag=7, body=b"three"), encoded(usual(priority=1), b"four", tag=8)
        pieces = [
            encoded(tag=5, body=b"one"),
            UNUSUAL + third[:20],  # pika keeps the tail of what is passed on to it
            third[20:] + fourth[:-3],
            fourth[-3:],
            encoded(tag=9, body=b"five"),
        ]
        for piece in pieces:
            peer.sendall(piece)
            counting.ioloop.poll()
        assert arrived == [
            ("plain", 5, b"one"),
            ("pika", 5, b"unusual"),
            ("plain", 7, b"three"),
            ("pika", 8, b"four"),
            ("plain", 9, b"five"),
        ]
        assert counting.bytes_received == sum(map(len, pieces))
        assert counting.frames_received == 3 * 5


def test_a_large_message_in_pieces_is_left_to_pika() -> None:
    """Held here it would be joined anew with every read: half a second for 16 MiB."""
    taking = Taking()
    whole = encoded(body=b"x" * 300_000, chunk=100_000)
    taking.arrive(whole[:100_000])
    assert taking.connection._frame_buffer == whole[:100_000]
    taking.arrive(whole[100_000:290_000])
    assert taking.tags == []
    assert taking.connection._frame_buffer == b""
    assert b"".join(taking.connection.passed) == whole[:290_000]
