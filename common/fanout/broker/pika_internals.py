"""The few things that pika 1.4.4 knows and does not publish. `tests/unit` checks that they exist.

pika is pinned to the exact version for these lines' sake.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, Final

from pika import SelectConnection, data
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.exceptions import InvalidFieldTypeException

from common.fanout.broker.deliveries import Delivery, DeliveryReader, Incomplete, NotPlain

_MOST_HELD_BYTES: Final = 256 * 1024


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


def limit_waits(loop: IOLoop, most_s: Callable[[], float]) -> None:
    """Let `loop.poll` wait no longer than `most_s` says; pika itself knows only of its own timers."""
    poller: Any = loop._poller  # noqa: SLF001
    remaining_s: Callable[[], float | None] = poller._get_wait_seconds  # noqa: SLF001

    def wait_s() -> float:
        timer_s = remaining_s()
        return most_s() if timer_s is None else min(timer_s, most_s())

    poller._get_wait_seconds = wait_s  # noqa: SLF001


def take_deliveries(channel: Channel, consumer_tag: str, on_delivery: Callable[[Delivery], bool]) -> None:
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

    def readable() -> None:
        try:
            data = sock.recv(size_bytes)
        except OSError:
            data = b""
        if not data:
            # The end, or an error: pika meets it again, and knows what to do.
            transport._on_socket_readable()  # noqa: SLF001
            return
        try:
            data_available(data)
        except Exception as error:  # noqa: BLE001 - as pika does: what cannot be read ends the connection
            transport._initiate_abort(error)  # noqa: SLF001

    transport._nbio.set_reader(sock.fileno(), readable)  # noqa: SLF001


def _is_plain(transport: Any) -> bool:
    return type(transport).__name__ == "_AsyncPlaintextTransport"


def unsent_bytes(connection: SelectConnection) -> int:
    """Bytes that the operating system has not yet taken: above 0, the network or broker is slow."""
    return int(connection._get_write_buffer_size())  # noqa: SLF001


def survive_hostile_tables() -> None:
    """A header table that pika cannot decode becomes an empty one; it used to cost the connection.

    A timestamp of 2^63 is enough, and anybody who may publish can send it with every frame. The empty
    table is then refused like any other message that is not ours. Safe to call again.
    """
    if data.decode_table is not _decode_table:
        data.decode_table = _decode_table


_decode_table_of_pika = data.decode_table


def _decode_table(encoded: bytes, offset: int) -> tuple[dict[str | bytes, Any], int]:
    try:
        return _decode_table_of_pika(encoded, offset)
    except (ValueError, OverflowError, OSError, struct.error, InvalidFieldTypeException):
        # The table says how long it is, so that what follows it can still be read.
        return {}, offset + 4 + int(struct.unpack_from(">I", encoded, offset)[0])
