"""pika is pinned; these tests say what to look at when it is not 1.4.4 any more."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any, cast

import pika
from pika import SelectConnection, data
from pika.adapters.utils import io_services_utils

from common.fanout.broker.pika_internals import (
    read_in_large_pieces,
    survive_hostile_tables,
    unsent_bytes,
)


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


def test_sizes_are_set_on_the_transport_of_this_connection_only() -> None:
    transport: Any = SimpleNamespace(_MAX_RECV_BYTES=4096, _MAX_CONSUME_BYTES=4096)
    read_in_large_pieces(cast("SelectConnection", SimpleNamespace(_transport=transport)), 1000)
    assert (transport._MAX_RECV_BYTES, transport._MAX_CONSUME_BYTES) == (1000, 1000)


def test_unsent_bytes_are_those_of_the_write_buffer() -> None:
    connection = cast("SelectConnection", SimpleNamespace(_get_write_buffer_size=lambda: 7))
    assert unsent_bytes(connection) == 7


def test_a_table_that_pika_cannot_decode_is_empty_and_what_follows_is_still_read() -> None:
    survive_hostile_tables()
    survive_hostile_tables()
    entry = b"\x01xT" + struct.pack(">Q", 2**63)
    encoded = struct.pack(">I", len(entry)) + entry + b"rest"
    assert data.decode_table(encoded, 0) == ({}, len(encoded) - len(b"rest"))


def test_an_ordinary_table_is_read_as_ever() -> None:
    survive_hostile_tables()
    pieces: list[bytes] = []
    data.encode_table(pieces, {"seq": 7, "key": True})
    assert data.decode_table(b"".join(pieces), 0)[0] == {"seq": 7, "key": True}
