"""The few things that pika 1.4.4 knows and does not publish. `tests/unit` checks that they exist.

pika is pinned to the exact version for these lines' sake.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, Final

from pika import BlockingConnection, SelectConnection, data, frame
from pika.adapters.select_connection import IOLoop, PollEvents, PollPoller
from pika.channel import Channel, ContentFrameAssembler
from pika.exceptions import InvalidFieldTypeException

from common.fanout.broker.deliveries import Delivery, DeliveryReader, Incomplete, NotPlain
from common.fanout.tcp_info import TcpInfo, reset_on_close, tcp_info

_MOST_HELD_BYTES: Final = 256 * 1024
_LONGEST_WAIT_S: Final = 5.0
# What lies in the socket is read to its end before anything else is done, so that the newest frame is
# found; for so long at most, and with such a pause for what is on its way.
_LONGEST_READ_S: Final = 0.02
_ON_ITS_WAY_S: Final = 0.002


def read_in_large_pieces(connection: SelectConnection, size_bytes: int = 64 * 1024) -> None:
    """Pika reads 4096 bytes at a time: 100 system calls and copies for one 400 kB frame.

    And it reads until the socket is empty, which takes one call more and an exception each time. The poller
    tells as well whether there is more.
    """
    transport: Any = connection._transport  # noqa: SLF001
    transport._MAX_RECV_BYTES = size_bytes  # noqa: SLF001
    transport._MAX_CONSUME_BYTES = 1  # noqa: SLF001


def write_at_once(connection: SelectConnection) -> None:
    """Pika leaves everything to the next turn of its loop: two changes of what it polls for, one wake-up
    more and a segment for each AMQP frame. What the operating system takes is sent here, in one piece.

    Not under TLS, where a write may have to wait for a read.
    """
    transport: Any = connection._transport  # noqa: SLF001
    if not _is_plain(transport):
        return
    changed: Any = connection
    sock: socket.socket = transport._sock  # noqa: SLF001

    def output(frames: Sequence[bytes]) -> None:
        data = b"".join(frames)
        changed.frames_sent += len(frames)
        changed.bytes_sent += len(data)
        sent = 0
        if not transport._tx_buffers:  # noqa: SLF001
            try:
                sent = sock.send(data)
            except OSError:
                sent = 0  # full, or broken: pika meets the same error, and knows what to do then
        if sent < len(data):
            transport.write(data[sent:])

    changed._output_marshaled_frames = output  # noqa: SLF001


def unread(connection: SelectConnection) -> bytes:
    """The first bytes of what came and could not be understood so far."""
    held: bytes = connection._frame_buffer[:16]  # noqa: SLF001
    return held


def peer(connection: SelectConnection) -> str | None:
    """The address at the other end; None if it is gone already."""
    transport: Any = connection._transport  # noqa: SLF001
    try:
        return str(transport._sock.getpeername()[0])  # noqa: SLF001
    except (OSError, AttributeError):
        return None


# basic.ack, multiple; AMQP 0-9-1, sections 1.8.3.13 and 4.2.3
_ACK: Final = struct.Struct(">BHIHHQBB")


def acknowledge(channel: Channel, tag: int) -> None:
    """`channel.basic_ack(tag, multiple=True)` in one call instead of thirty."""
    packed = _ACK.pack(1, channel.channel_number, 13, 60, 80, tag, 1, 0xCE)
    connection: Any = channel.connection
    connection._output_marshaled_frames([packed])  # noqa: SLF001


class Turns:
    """Runs pika's loop one turn at a time.

    Its own `poll` waits as long as its timers allow, and makes twenty calls more for a message: this one
    goes straight to the reader of the one socket that matters.
    """

    def __init__(self, loop: IOLoop) -> None:
        self._loop: Any = loop
        self._poller: Any = loop._poller  # noqa: SLF001
        self._readable: tuple[int, Callable[[], bool]] | None = None

    def read_by(self, connection: SelectConnection, readable: Callable[[], bool]) -> None:
        """Call this when the connection's socket has something to read, and nothing else has happened.

        It says whether there may be more.
        """
        transport: Any = connection._transport  # noqa: SLF001
        self._readable = transport._sock.fileno(), readable  # noqa: SLF001

    def forget(self) -> None:
        """The connection is lost; its number may be another's soon."""
        self._readable = None

    def run(self, timeout_s: float) -> None:
        """Wait for something to do, for so long at most, and do it; likewise timers that are due."""
        poller, loop = self._poller, self._loop
        if not isinstance(poller, PollPoller):
            self._run_otherwise(timeout_s)
            return
        heap = loop._timer._timeout_heap  # noqa: SLF001
        if loop._callbacks:  # noqa: SLF001
            timeout_s = 0.0
        elif heap:
            timeout_s = min(timeout_s, max(0.0, heap[0].deadline - time.monotonic()))
        events = poller._poll.poll(min(timeout_s, _LONGEST_WAIT_S) * poller.POLL_TIMEOUT_MULT)  # noqa: SLF001
        if events and self._handle(events):
            self._read_on()
        if loop._callbacks or (heap and heap[0].deadline <= time.monotonic()):  # noqa: SLF001
            loop.process_timeouts()

    def _handle(self, events: list[tuple[int, int]]) -> bool:
        """Whether there may be more to read."""
        reader = self._readable
        if reader is not None and events == [(reader[0], PollEvents.READ)]:
            return reader[1]()
        self._poller._dispatch_fd_events(dict(events))  # noqa: SLF001
        return False

    def _read_on(self) -> None:
        poller = self._poller
        until_s = time.monotonic() + _LONGEST_READ_S
        while time.monotonic() < until_s:
            events = poller._poll.poll(_ON_ITS_WAY_S * poller.POLL_TIMEOUT_MULT)  # noqa: SLF001
            if not events or not self._handle(events):
                return

    def _run_otherwise(self, timeout_s: float) -> None:
        """Where there is neither epoll nor poll."""
        timer = self._loop.call_later(min(timeout_s, _LONGEST_WAIT_S), lambda: None)
        self._loop.poll()
        self._loop.remove_timeout(timer)
        self._loop.process_timeouts()


def take_deliveries(
    channel: Channel, consumer_tag: str, on_delivery: Callable[[Delivery], bool], turns: Turns
) -> None:
    """Hand the plain deliveries to one consumer to `on_delivery`, past pika's own slow path.

    `on_delivery` says whether properties that it was given were good; see `DeliveryReader.remember`.

    What is not plain goes to the callback that pika knows. Ends with the channel.
    """
    connection: Any = channel.connection
    transport: Any = connection._transport  # noqa: SLF001
    # The method of the class: an earlier channel of this connection may have replaced it.
    pass_on = MethodType(type(connection)._on_data_available, connection)  # noqa: SLF001
    reader = DeliveryReader(channel.channel_number, consumer_tag.encode())

    def data_available(data: bytes) -> None:
        held = connection._frame_buffer  # noqa: SLF001
        buffer = held + data if held else data
        offset = 0
        while offset < len(buffer) and channel.is_open:
            try:
                delivery = reader.take(buffer, offset)
            except Incomplete:
                if len(buffer) - offset > _MOST_HELD_BYTES:
                    break  # pika keeps the parts of a large message; here each read would join them anew
                connection._frame_buffer = buffer[offset:]  # noqa: SLF001
                return
            except NotPlain:
                break
            connection.bytes_received += delivery.end - offset  # its heartbeat checker looks at it
            connection.frames_received += delivery.frames
            offset = delivery.end
            if on_delivery(delivery):
                reader.remember()
        connection._frame_buffer = b""  # noqa: SLF001
        if offset < len(buffer):
            pass_on(buffer[offset:])

    connection._on_data_available = data_available  # noqa: SLF001
    if not _is_plain(transport):
        return
    sock: socket.socket = transport._sock  # noqa: SLF001
    size_bytes = transport._MAX_RECV_BYTES  # noqa: SLF001

    def readable() -> bool:
        try:
            data = sock.recv(size_bytes)
        except OSError:
            data = b""
        if not data:
            # The end, or an error: pika meets it again, and knows what to do.
            transport._on_socket_readable()  # noqa: SLF001
            return False
        try:
            data_available(data)
        except Exception as error:  # noqa: BLE001 - as pika does: what cannot be read ends the connection
            transport._initiate_abort(error)  # noqa: SLF001
            return False
        return len(data) == size_bytes or bool(connection._frame_buffer)  # noqa: SLF001

    transport._nbio.set_reader(sock.fileno(), readable)  # noqa: SLF001
    turns.read_by(connection, readable)


class _LeftOut(bytes):
    """Stands for a body that was too large to be kept."""

    size: int = 0


def leave_out_large_bodies(channel: Channel, max_bytes: int) -> None:
    """Bodies above that size are not kept while they arrive: pika would collect whatever the broker lets
    through, 128 MiB by its default before RabbitMQ 4. They come as empty ones; see `too_large`.
    """
    assembler: Any = channel._content_assembler  # noqa: SLF001
    if assembler is not None:
        channel._content_assembler = _Assembler(max_bytes)  # noqa: SLF001


def too_large(body: bytes) -> int:
    """The size of a body that was left out; 0 if it is there."""
    return body.size if isinstance(body, _LeftOut) else 0


class _Assembler(ContentFrameAssembler):
    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def process(self, frame_value: Any) -> Any:
        whole: Any = super().process(frame_value)
        header: Any = self._header_frame
        if whole is None and header is not None and header.body_size > self._max_bytes:
            self._body_fragments.clear()
        elif whole is not None and whole[1].body_size > self._max_bytes:
            left_out = _LeftOut()
            left_out.size = int(whole[1].body_size)
            return (whole[0], whole[1], left_out)
        return whole


def _is_plain(transport: Any) -> bool:
    return type(transport).__name__ == "_AsyncPlaintextTransport"


def close_socket(connection: SelectConnection) -> None:
    """For an attempt that nobody waits for any more; only when the loop has ended."""
    transport: Any = connection._transport  # noqa: SLF001
    if transport is not None and transport._sock is not None:  # noqa: SLF001
        transport._sock.close()  # noqa: SLF001


def unsent_bytes(connection: SelectConnection) -> int:
    """Bytes that the operating system has not yet taken: above 0, the network or broker is slow."""
    return int(connection._get_write_buffer_size())  # noqa: SLF001


def line_of(connection: SelectConnection) -> TcpInfo | None:
    """What the operating system knows of the line to the broker; None before there is one."""
    transport: Any = connection._transport  # noqa: SLF001
    sock = transport._sock if transport is not None else None  # noqa: SLF001
    return tcp_info(sock) if sock is not None else None


def send_heartbeat(connection: SelectConnection) -> None:
    """Now, whenever the next one is due. The broker's system acknowledges it."""
    if connection.is_open:
        connection._send_frame(frame.Heartbeat())  # noqa: SLF001


def give_up(connection: SelectConnection, error: Exception) -> None:
    """End a connection that leads nowhere, as pika does that hears no heartbeat.

    What has not arrived yet is not to arrive later, beside what the next connection sends.
    """
    transport: Any = connection._transport  # noqa: SLF001
    if transport is not None and transport._sock is not None:  # noqa: SLF001
        reset_on_close(transport._sock)  # noqa: SLF001
    connection._terminate_stream(error)  # noqa: SLF001


def survive_hostile_tables() -> None:
    """A header table that pika cannot decode becomes an empty one; it used to cost the connection.

    A timestamp of 2^63 is enough, and anybody who may publish can send it with every frame. The empty
    table is then refused like any other message that is not ours. Safe to call again.
    """
    if data.decode_table is not _decode_table:
        data.decode_table = _decode_table


_decode_table_of_pika = data.decode_table
_UNREADABLE: Final = (
    ValueError, OverflowError, OSError, struct.error, InvalidFieldTypeException, RecursionError,
)  # fmt: skip


class _Within(threading.local):
    """Whether this thread reads a table within a table: pika calls itself by the name that is replaced."""

    table = False


_within = _Within()


def _decode_table(encoded: bytes, offset: int) -> tuple[dict[str | bytes, Any], int]:
    # The table says how long it is, so that what follows it can still be read.
    end = offset + 4 + int(struct.unpack_from(">I", encoded, offset)[0])
    if _within.table:
        # Not read on from here: tables that overlap would be read again and again, twice as often for each.
        found = _decode_table_of_pika(encoded, offset)
        if found[1] != end:
            raise ValueError
        return found
    _within.table = True
    try:
        table, found_end = _decode_table_of_pika(encoded, offset)
    except _UNREADABLE:
        return {}, end
    finally:
        _within.table = False
    # A value in it that claims to be longer would take what follows along.
    return (table, end) if found_end == end else ({}, end)


def server_properties(connection: BlockingConnection) -> dict[str, Any]:
    """What the broker says of itself; pika shows only what it can do."""
    said: dict[str, Any] = connection._impl.server_properties or {}  # noqa: SLF001
    return said
