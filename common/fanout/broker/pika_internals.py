"""The few things that pika 1.4.4 knows and does not publish. `tests/unit` checks that they exist.

pika is pinned to the exact version for these lines' sake.
"""

from __future__ import annotations

import struct
from typing import Any

from pika import SelectConnection, data
from pika.exceptions import InvalidFieldTypeException


def read_in_large_pieces(connection: SelectConnection, size_bytes: int = 256 * 1024) -> None:
    """Pika reads 4096 bytes at a time: 100 system calls and copies for one 400 kB frame."""
    transport: Any = connection._transport  # noqa: SLF001
    transport._MAX_RECV_BYTES = size_bytes  # noqa: SLF001
    transport._MAX_CONSUME_BYTES = size_bytes  # noqa: SLF001


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
