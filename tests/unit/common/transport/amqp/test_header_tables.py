from __future__ import annotations

import struct

import pytest
from pika import BasicProperties
from pika.frame import Body, Frame, Header, Heartbeat, Method, decode_frame
from pika.spec import Basic

from fanlight.common.transport.amqp.header_tables import HeaderTableFilter

ALL = {
    "content_type": "a",
    "content_encoding": "b",
    "delivery_mode": 1,
    "priority": 2,
    "correlation_id": "c",
    "reply_to": "d",
    "expiration": "5",
    "message_id": "e",
    "timestamp": 2**63,
    "type": "f",
    "user_id": "g",
    "app_id": "h",
}
TABLE = {"x": "y" * 1000, "n": {"z": 1}}


def encoded(*frames: Frame) -> bytes:
    return b"".join(frame.marshal() for frame in frames)


def header(properties: BasicProperties) -> Header:
    return Header(1, 5, properties)


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_a_header_table_is_removed_and_nothing_else(step: int) -> None:
    around = (Method(1, Basic.Deliver("t", 1, False, "x", "k")), Heartbeat(), Body(1, b"\x02" * 5))
    sent = encoded(around[0], around[1], header(BasicProperties(headers=TABLE, **ALL)), around[2])
    tables = HeaderTableFilter()
    passed = b"".join(tables.feed(sent[at : at + step]) for at in range(0, len(sent), step))
    assert passed == encoded(around[0], around[1], header(BasicProperties(**ALL)), around[2])


@pytest.mark.parametrize("name", ["content_type", "content_encoding", "app_id"])
def test_properties_before_and_behind_the_table_stay(name: str) -> None:
    passed = HeaderTableFilter().feed(encoded(header(BasicProperties(headers=TABLE, **{name: "text"}))))
    _, frame = decode_frame(passed)
    assert isinstance(frame, Header)
    assert frame.properties == BasicProperties(**{name: "text"})
    assert frame.body_size == 5


def test_what_cannot_be_read_is_left_to_pika() -> None:
    longer = encoded(header(BasicProperties(headers=TABLE)))
    at = longer.index(struct.pack(">I", len(longer) - 7 - 14 - 4 - 1))
    longer = longer[:at] + b"\xff" * 4 + longer[at + 4 :]
    for frame in (longer, b"\x02\x00\x01\x00\x00\x00\x03abc\xce", b"AMQP\x00\x00\x09\x01"):
        assert HeaderTableFilter().feed(frame) == frame
    foreign = HeaderTableFilter()
    assert foreign.feed(b"HTTP/1.1 ") + foreign.feed(b"4") == b"HTTP/1.1 4"
