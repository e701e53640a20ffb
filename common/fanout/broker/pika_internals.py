"""The few things that pika 1.4.4 knows and does not publish. `tests/unit` checks that they exist.

pika is pinned to the exact version for these lines' sake.
"""

from __future__ import annotations

from typing import Any

from pika import SelectConnection


def read_in_large_pieces(connection: SelectConnection, size_bytes: int = 256 * 1024) -> None:
    """Pika reads 4096 bytes at a time: 100 system calls and copies for one 400 kB frame."""
    transport: Any = connection._transport  # noqa: SLF001
    transport._MAX_RECV_BYTES = size_bytes  # noqa: SLF001
    transport._MAX_CONSUME_BYTES = size_bytes  # noqa: SLF001


def unsent_bytes(connection: SelectConnection) -> int:
    """Bytes that the operating system has not yet taken: above 0, the network or broker is slow."""
    return int(connection._get_write_buffer_size())  # noqa: SLF001
