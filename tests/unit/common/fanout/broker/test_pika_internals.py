"""pika is pinned; these tests say what to look at when it is not 1.4.4 any more."""

from __future__ import annotations

import inspect
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pika
import pytest
from pika import SelectConnection, data, frame
from pika.adapters.base_connection import BaseConnection, _StreamingProtocolShim
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils import io_services_utils
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from pika.channel import Channel
from pika.connection import Connection
from pika.spec import BasicProperties

from common.fanout.broker.deliveries import Delivery
from common.fanout.broker.pika_internals import (
    Turns,
    read_in_large_pieces,
    survive_hostile_tables,
    take_deliveries,
    unsent_bytes,
    write_at_once,
)
from tests.unit.common.fanout.broker.test_deliveries import CHANNEL, CONSUMER, encoded, usual

UNUSUAL = encoded(usual(priority=1), b"unusual")
HEARTBEAT = bytes(frame.Heartbeat().marshal())


def test_pika_is_the_version_that_was_looked_at() -> None:
    assert pika.__version__ == "1.4.4"


def test_the_transports_have_the_sizes_that_are_set() -> None:
    base = io_services_utils._AsyncTransportBase
    assert isinstance(base._MAX_RECV_BYTES, int)
    assert isinstance(base._MAX_CONSUME_BYTES, int)
    for kind in (io_services_utils._AsyncPlaintextTransport, io_services_utils._AsyncSSLTransport):
        assert issubclass(kind, base)


def test_the_connection_has_what_is_asked() -> None:
    assert callable(SelectConnection._get_write_buffer_size)
    assert "_transport" in SelectConnection.__init__.__code__.co_names or any(
        "_transport" in kind.__init__.__code__.co_names for kind in SelectConnection.__mro__[:-1]
    )


def test_the_connection_has_what_is_replaced_and_counted() -> None:
    connection: Any = SelectConnection(internal_connection_workflow=False)
    try:
        assert connection._frame_buffer == b""
        for counter in ("bytes_received", "frames_received", "bytes_sent", "frames_sent"):
            assert getattr(connection, counter) == 0
    finally:
        connection.ioloop.close()
    assert list(inspect.signature(SelectConnection._on_data_available).parameters) == ["self", "data_in"]
    assert list(inspect.signature(SelectConnection._output_marshaled_frames).parameters) == [
        "self",
        "marshaled_frames",
    ]


def test_pika_looks_up_on_the_connection_what_is_replaced_there() -> None:
    # A bound method that it had kept for itself would never be replaced.
    assert "_on_data_available" in BaseConnection._proto_data_received.__code__.co_names
    for sender in (Connection._send_frame, Connection._send_message):
        assert "_output_marshaled_frames" in sender.__code__.co_names


def test_the_plain_transport_has_what_is_asked() -> None:
    kind = io_services_utils._AsyncPlaintextTransport
    assert kind.__name__ == "_AsyncPlaintextTransport"
    for name in ("write", "_initiate_abort", "_on_socket_readable"):
        assert callable(getattr(kind, name))
    assert callable(SelectorIOServicesAdapter.set_reader)
    with real_connection() as (connection, peer):
        transport: Any = connection._transport
        assert type(transport) is kind
        assert isinstance(transport._tx_buffers, deque)
        assert not transport._tx_buffers
        assert isinstance(transport._sock, socket.socket)
        assert transport._sock is not peer
        assert isinstance(transport._nbio, SelectorIOServicesAdapter)


def test_sizes_are_set_on_the_transport_of_this_connection_only() -> None:
    transport: Any = SimpleNamespace(_MAX_RECV_BYTES=4096, _MAX_CONSUME_BYTES=4096)
    read_in_large_pieces(cast("SelectConnection", SimpleNamespace(_transport=transport)), 1000)
    # One read for each time that the poller says so: any byte is enough to end pika's own loop.
    assert (transport._MAX_RECV_BYTES, transport._MAX_CONSUME_BYTES) == (1000, 1)
    assert io_services_utils._AsyncTransportBase._MAX_RECV_BYTES == 4096


def test_unsent_bytes_are_those_of_the_write_buffer() -> None:
    connection = cast("SelectConnection", SimpleNamespace(_get_write_buffer_size=lambda: 7))
    assert unsent_bytes(connection) == 7


def test_a_table_that_pika_cannot_decode_is_empty_and_what_follows_is_still_read() -> None:
    survive_hostile_tables()
    survive_hostile_tables()
    entry = b"\x01xT" + struct.pack(">Q", 2**63)
    encoded = struct.pack(">I", len(entry)) + entry + b"rest"
    assert data.decode_table(encoded, 0) == ({}, len(encoded) - len(b"rest"))


def test_tables_within_tables_that_overlap_are_refused_at_once() -> None:
    survive_hostile_tables()
    # Read on after each refusal, what overlaps is read twice as often for each of them: 2^60 steps.
    overlapping = b"A\x00\x00\xff\xffF\x00\x00\x00\x01\x00"
    entries = b"\x01a" + overlapping * 60 + b"T" + struct.pack(">Q", 2**63)
    encoded = struct.pack(">I", len(entries)) + entries
    began_s = time.thread_time()
    assert data.decode_table(encoded + b"rest", 0) == ({}, len(encoded))
    assert time.thread_time() - began_s < 0.1


def test_a_table_that_nests_too_deep_is_empty() -> None:
    survive_hostile_tables()
    entries = b"\x01a" + b"A\x00\x00\x00\x05" * 20_000
    encoded = struct.pack(">I", len(entries)) + entries
    assert data.decode_table(encoded, 0) == ({}, len(encoded))
    assert data.decode_table(struct.pack(">I", 4) + b"\x01at\x01", 0) == ({"a": True}, 8)


def test_an_ordinary_table_is_read_as_ever() -> None:
    survive_hostile_tables()
    pieces: list[bytes] = []
    data.encode_table(pieces, {"seq": 7, "key": True})
    assert data.decode_table(b"".join(pieces), 0)[0] == {"seq": 7, "key": True}


# Fakes


class FakeConnection:
    """Keeps what is given to pika's own methods. It decodes nothing, and sends nothing."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._frame_buffer = b""
        self.bytes_received = self.frames_received = self.bytes_sent = self.frames_sent = 0
        self.passed: list[bytes] = []
        self.output: list[bytes] = []

    def _on_data_available(self, data_in: bytes) -> None:
        self.passed.append(data_in)

    def _output_marshaled_frames(self, marshaled_frames: list[bytes]) -> None:
        self.output += marshaled_frames


class _AsyncPlaintextTransport:
    """Named as pika's, which is how it is told. It never polls, aborts nothing and sends nothing later."""

    _MAX_RECV_BYTES = 1 << 16

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._tx_buffers: deque[bytes] = deque()
        self._nbio = SimpleNamespace(set_reader=self._set_reader)
        self.written: list[bytes] = []
        self.readers: dict[int, Callable[[], None]] = {}
        self.left_to_pika = 0
        self.aborted: list[BaseException] = []

    def _set_reader(self, fd: int, reader: Callable[[], None]) -> None:
        self.readers[fd] = reader

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self._tx_buffers.append(data)

    def _on_socket_readable(self) -> None:
        self.left_to_pika += 1

    def _initiate_abort(self, error: BaseException) -> None:
        self.aborted.append(error)


class _AsyncSSLTransport(_AsyncPlaintextTransport):
    """As above, under the name of the other one."""


class Full:
    """A socket that takes some bytes and no more, at once: a real one's buffer has no exact size."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        if not self.room:
            raise BlockingIOError
        taken = data[: self.room]
        self.room -= len(taken)
        self.sent.append(taken)
        return len(taken)

    def fileno(self) -> int:
        return 7


class Broken(Full):
    def send(self, data: bytes) -> int:
        raise BrokenPipeError


@contextmanager
def real_connection() -> Iterator[tuple[SelectConnection, socket.socket]]:
    """A connection and a plain transport of pika's, and the other end. Nobody shakes hands."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.settimeout(5)
    loop = IOLoop()
    connection: Any = SelectConnection(custom_ioloop=loop, internal_connection_workflow=False)
    nbio = SelectorIOServicesAdapter(loop)
    transport = io_services_utils._AsyncPlaintextTransport(ours, _StreamingProtocolShim(connection), nbio)
    connection._transport = transport
    connection._set_connection_state(connection.CONNECTION_OPEN)
    connection._body_max_length = 100_000  # agreed on while shaking hands
    try:
        yield connection, peer
    finally:
        nbio.remove_reader(ours.fileno())
        nbio.remove_writer(ours.fileno())
        loop.close()
        ours.close()
        peer.close()


def writing(sock: Any, kind: type[_AsyncPlaintextTransport] = _AsyncPlaintextTransport) -> FakeConnection:
    connection = FakeConnection(kind(sock))
    write_at_once(cast("SelectConnection", connection))
    return connection


class NoTurns:
    """Stands in for a loop that nobody runs here."""

    def read_by(self, connection: SelectConnection, readable: Callable[[], bool]) -> None:
        """Nothing."""


TURNS = cast("Turns", NoTurns())


class Taking:
    """A connection whose deliveries are taken, and what became of them."""

    def __init__(
        self,
        sock: Any = None,
        kind: type[_AsyncPlaintextTransport] = _AsyncPlaintextTransport,
        *,
        good: bool = True,
    ) -> None:
        self.transport = kind(sock or Full(0))
        self.connection = FakeConnection(self.transport)
        self.channel = SimpleNamespace(channel_number=CHANNEL, is_open=True, connection=self.connection)
        self.taken: list[Delivery] = []
        self.good = good
        take_deliveries(cast("Channel", self.channel), CONSUMER, self.on_delivery, TURNS)

    def on_delivery(self, delivery: Delivery) -> bool:
        self.taken.append(delivery)
        return self.good and delivery.properties is not None

    def arrive(self, data: bytes) -> None:
        self.connection._on_data_available(data)

    def poll(self) -> None:
        self.transport.readers[self.transport._sock.fileno()]()

    @property
    def tags(self) -> list[int]:
        return [delivery.tag for delivery in self.taken]


def open_channel(connection: SelectConnection) -> Any:
    """A channel that its broker has opened; so says the test."""
    channel: Any = Channel(connection, CHANNEL, lambda _channel: None)
    channel._set_state(Channel.OPEN)
    cast("Any", connection)._channels[CHANNEL] = channel
    return channel


# write_at_once


def test_frames_are_sent_at_once_and_in_one_piece() -> None:
    sock = Full(100)
    connection = writing(sock)
    connection._output_marshaled_frames([b"method", b"header", b"body"])
    assert sock.sent == [b"methodheaderbody"]
    assert connection._transport.written == []
    assert connection.output == []


def test_what_is_sent_at_once_is_counted_as_pika_counts_it() -> None:
    connection = writing(Full(5))
    connection._output_marshaled_frames([b"method", b"body"])
    assert (connection.frames_sent, connection.bytes_sent) == (2, 10)


def test_what_the_socket_does_not_take_is_left_to_the_transport() -> None:
    sock = Full(8)
    connection = writing(sock)
    connection._output_marshaled_frames([b"method", b"body"])
    assert sock.sent == [b"methodbo"]
    assert connection._transport.written == [b"dy"]


@pytest.mark.parametrize("sock", [Full(0), Broken(0)])
def test_a_socket_that_takes_nothing_or_is_broken_is_left_to_the_transport(sock: Full) -> None:
    connection = writing(sock)
    connection._output_marshaled_frames([b"method", b"body"])
    assert connection._transport.written == [b"methodbody"]


def test_nothing_overtakes_what_pika_has_still_to_send() -> None:
    sock = Full(8)
    connection = writing(sock)
    connection._output_marshaled_frames([b"methodbody"])
    sock.room = 100
    connection._output_marshaled_frames([b"later"])
    assert sock.sent == [b"methodbo"]
    assert connection._transport.written == [b"dy", b"later"]


def test_tls_is_written_as_ever() -> None:
    sock = Full(100)
    connection = writing(sock, _AsyncSSLTransport)
    connection._output_marshaled_frames([b"method", b"body"])
    assert connection.output == [b"method", b"body"]
    assert sock.sent == []


def test_what_pika_sends_is_on_the_socket_before_its_loop_turns() -> None:
    with real_connection() as (connection, peer):
        write_at_once(connection)
        channel = open_channel(connection)
        channel.basic_ack(5)
        expected = bytes(frame.Method(CHANNEL, pika.spec.Basic.Ack(5)).marshal())
        assert peer.recv(100) == expected
        assert unsent_bytes(connection) == 0


def test_a_message_larger_than_the_socket_takes_arrives_whole_and_in_order() -> None:
    with real_connection() as (connection, peer):
        write_at_once(connection)
        channel = open_channel(connection)
        body = bytes(range(256)) * 16_000
        channel.basic_publish("fanlight.cam", "", body, BasicProperties())
        channel.basic_ack(5)
        assert unsent_bytes(connection) > 0
        end = bytes(frame.Method(CHANNEL, pika.spec.Basic.Ack(5)).marshal())
        received = bytearray()
        peer.setblocking(False)
        connection.ioloop.activate_poller()
        # Each turn sends what there is room for; the count only bounds a failure.
        for _ in range(10_000):
            try:
                received += peer.recv(1 << 20)
            except BlockingIOError:
                connection.ioloop.poll()
            if received.endswith(end):
                break
        fragments = []
        while received:
            consumed, value = frame.decode_frame(bytes(received[:200_000]))
            del received[:consumed]
            fragments.append(getattr(value, "fragment", b""))
        assert b"".join(fragments) == body
        assert unsent_bytes(connection) == 0
