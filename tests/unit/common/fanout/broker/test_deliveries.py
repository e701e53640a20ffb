from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame
from pika.spec import Basic, BasicProperties

from common.fanout.broker.deliveries import Delivery, DeliveryReader, Incomplete, NotPlain, Properties
from common.frame import APP_ID, MAX_FPS, MAX_SIDE, Codec, FrameHeader

CHANNEL = 1
CONSUMER = "ctag1.abc"
INT63 = 2**63 - 1
HEADER = FrameHeader(
    stream="cam",
    codec=Codec.H264,
    epoch=0x1122334455667788,
    seq=7,
    capture_ns=1_700_000_000_123_456_789,
    width=1280,
    height=720,
    key=True,
    fps=29.97,
)

headers = st.builds(
    FrameHeader,
    stream=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    codec=st.sampled_from(Codec),
    epoch=st.integers(0, INT63),
    seq=st.integers(0, 100) | st.integers(2**31 - 2, 2**31 + 2) | st.integers(0, INT63),
    capture_ns=st.integers(0, INT63),
    width=st.integers(1, MAX_SIDE),
    height=st.integers(1, MAX_SIDE),
    key=st.booleans(),
    fps=st.floats(0, MAX_FPS, exclude_min=True) | st.integers(1, int(MAX_FPS)).map(float),
)
bodies = st.binary(max_size=300)
chunk_sizes = st.integers(1, 300)


def usual(header: FrameHeader = HEADER, **changes: Any) -> BasicProperties:
    """What the publisher sets."""
    said: dict[str, Any] = {
        "content_type": header.codec.content_type,
        "headers": header.to_amqp(),
        "delivery_mode": 1,
        "timestamp": header.capture_ns // 1_000_000_000,
        "user_id": "guest",
        "app_id": APP_ID,
    }
    return BasicProperties(**(said | changes))


def encoded(
    properties: BasicProperties | None = None,
    body: bytes = b"picture",
    *,
    tag: int = 5,
    channel: int = CHANNEL,
    consumer: str = CONSUMER,
    chunk: int = 1000,
) -> bytes:
    """A delivery as the broker sends it, by pika's own encoders."""
    deliver = Basic.Deliver(consumer, tag, False, "fanlight.cam", "")
    chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    return b"".join(
        [
            bytes(frame.Method(channel, deliver).marshal()),
            bytes(frame.Header(channel, len(body), properties or usual()).marshal()),
            *(bytes(frame.Body(channel, piece).marshal()) for piece in chunks),
        ]
    )


class ByPika(NamedTuple):
    tag: int
    said: Properties
    body: bytes
    frames: int


def by_pika(stream: bytes) -> ByPika:
    """One delivery, as pika's own decoder reads it."""
    found: list[Any] = []
    while stream:
        consumed, value = frame.decode_frame(stream)
        assert consumed
        found.append(value)
        stream = stream[consumed:]
    method, header, *pieces = found
    properties = header.properties
    return ByPika(
        method.method.delivery_tag,
        Properties(properties.content_type, properties.app_id, properties.headers, properties.user_id),
        b"".join(piece.fragment for piece in pieces),
        len(found),
    )


def fresh() -> DeliveryReader:
    return DeliveryReader(CHANNEL, CONSUMER.encode())


def remembering(stream: bytes | None = None) -> DeliveryReader:
    reader = fresh()
    reader.take(stream or encoded(), 0)
    reader.remember()
    return reader


def taken_or_refused(reader: DeliveryReader, stream: bytes) -> Delivery | None:
    """Any other exception would end the connection, where pika might have gone on."""
    try:
        return reader.take(stream, 0)
    except (Incomplete, NotPlain):
        return None


# What is read


@given(headers, bodies, chunk_sizes, st.integers(1, 2**64 - 1))
def test_a_delivery_is_read_as_pika_reads_it(
    header: FrameHeader, body: bytes, chunk: int, tag: int
) -> None:
    stream = encoded(usual(header), body, chunk=chunk, tag=tag)
    delivery = fresh().take(stream, 0)
    expected = by_pika(stream)
    assert delivery.properties == expected.said
    assert (delivery.tag, delivery.body, delivery.frames) == (expected.tag, expected.body, expected.frames)
    assert delivery.end == len(stream)
    assert (tag, body) == (expected.tag, expected.body)  # or the comparison would say nothing


@given(headers)
def test_what_is_read_is_a_header_again(header: FrameHeader) -> None:
    said = fresh().take(encoded(usual(header)), 0).properties
    assert said is not None
    assert dict(said.headers or {}) == header.to_amqp()


def test_a_true_of_the_wire_is_a_bool_and_a_rate_a_decimal() -> None:
    # 1 == True, so that equal tables do not say so; FrameHeader.from_amqp tells them apart.
    said = fresh().take(encoded(), 0).properties
    assert said is not None
    assert said.headers is not None
    assert said.headers["key"] is True
    assert type(said.headers["v"]) is int
    assert said.headers["fps"] == Decimal("29.97")


@given(
    headers,
    st.lists(st.tuples(st.integers(0, INT63), st.integers(0, INT63), bodies, chunk_sizes), max_size=6),
)
def test_a_sequence_of_messages_on_one_reader_is_read_as_pika_reads_it(
    header: FrameHeader, later: list[tuple[int, int, bytes, int]]
) -> None:
    reader = remembering(encoded(usual(header)))
    known: dict[str, object] = header.to_amqp()
    for seq, capture_ns, body, chunk in later:
        following = replace(header, seq=seq, capture_ns=capture_ns)
        stream = encoded(usual(following), body, chunk=chunk)
        delivery = reader.take(stream, 0)
        expected = by_pika(stream)
        if delivery.properties is None:
            read = known | {"seq": delivery.seq, "capture_ns": delivery.capture_ns}
        else:
            assert delivery.properties[:2] == expected.said[:2]
            read = dict(delivery.properties.headers or {})
            reader.remember()
        assert read == expected.said.headers
        assert (delivery.body, delivery.frames, delivery.end) == (body, expected.frames, len(stream))


@pytest.mark.parametrize("seq", [0, 2**31 - 2, 2**31, INT63 - 1])
def test_properties_that_were_remembered_are_left_out_when_the_numbers_alone_change(seq: int) -> None:
    reader = remembering(encoded(usual(replace(HEADER, seq=seq))))
    later = replace(HEADER, seq=seq + 1, capture_ns=HEADER.capture_ns + 5_000_000_000)
    delivery = reader.take(encoded(usual(later), b"other", tag=6), 0)
    assert delivery.properties is None
    assert (delivery.seq, delivery.capture_ns) == (later.seq, later.capture_ns)
    assert (delivery.tag, delivery.body) == (6, b"other")


def test_a_seq_that_needs_more_bits_than_the_remembered_one_gives_full_properties() -> None:
    reader = remembering(encoded(usual(replace(HEADER, seq=2**31 - 1))))
    said = reader.take(encoded(usual(replace(HEADER, seq=2**31))), 0).properties
    assert said is not None
    assert said.headers is not None
    assert said.headers["seq"] == 2**31


def test_properties_come_every_time_unless_remembered() -> None:
    reader = fresh()
    for _ in range(3):
        assert reader.take(encoded(), 0).properties is not None


def test_properties_that_were_seen_and_not_remembered_do_not_replace_those_that_were() -> None:
    reader = remembering()
    other = encoded(usual(replace(HEADER, width=640)))
    assert reader.take(other, 0).properties is not None
    assert reader.take(other, 0).properties is not None
    assert reader.take(encoded(), 0).properties is None


def test_to_remember_before_anything_came_changes_nothing() -> None:
    reader = fresh()
    reader.remember()
    assert reader.take(encoded(), 0).properties is not None


CHANGED = {
    "stream": usual(replace(HEADER, stream="cat")),
    "stream of another length": usual(replace(HEADER, stream="camera")),
    "codec": usual(replace(HEADER, codec=Codec.JPEG)),
    "epoch": usual(replace(HEADER, epoch=HEADER.epoch + 1)),
    "width": usual(replace(HEADER, width=1281)),
    "height": usual(replace(HEADER, height=721)),
    "key": usual(replace(HEADER, key=False)),
    "fps": usual(replace(HEADER, fps=29.98)),
    "version": usual(headers=HEADER.to_amqp() | {"v": 2}),
    "one header more": usual(headers=HEADER.to_amqp() | {"new": 1}),
    "name of a header": usual(
        headers={name.replace("seq", "seg"): v for name, v in HEADER.to_amqp().items()}
    ),
    "order of the headers": usual(headers=dict(reversed(HEADER.to_amqp().items()))),
    "content type": usual(content_type="video/h265"),
    "app id": usual(app_id="fanlighu"),
    "user id": usual(user_id="gueST"),
    "delivery mode": usual(delivery_mode=2),
}


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED)
def test_whatever_changes_but_the_numbers_gives_full_properties_again(changed: BasicProperties) -> None:
    stream = encoded(changed)
    assert remembering().take(stream, 0).properties == by_pika(stream).said


@pytest.mark.parametrize(
    "table",
    [
        {"v": 1},
        {"seq": 1},
        {"capture_ns": 2**40},
        {"capture_ns": 2**40, "seq": 1},
        {"seq": 1, "capture_ns": 5},
        {"seq": "1", "capture_ns": 2**40},
        {"seq": True, "capture_ns": 2**40},
        {},
    ],
)
def test_a_table_without_the_two_numbers_in_their_usual_places_gives_full_properties_every_time(
    table: dict[str, object],
) -> None:
    stream = encoded(usual(headers=table))
    assert remembering(stream).take(stream, 0).properties == by_pika(stream).said


# Where the delivery ends


def test_two_deliveries_in_one_buffer_are_read_one_after_the_other() -> None:
    first, second = encoded(body=b"abcdefg", chunk=3), encoded(body=b"hij", tag=6)
    stream = b"earlier" + first + second + b"later"
    reader = fresh()
    one = reader.take(stream, len(b"earlier"))
    two = reader.take(stream, one.end)
    assert (one.tag, one.body, one.frames, one.end) == (5, b"abcdefg", 5, len(b"earlier") + len(first))
    assert (two.tag, two.body, two.frames, two.end) == (6, b"hij", 3, len(stream) - len(b"later"))


def test_an_empty_body_has_no_frame_of_its_own() -> None:
    stream = encoded(body=b"")
    delivery = fresh().take(stream + encoded(tag=6), 0)
    assert (delivery.body, delivery.frames, delivery.end) == (b"", 2, len(stream))


@pytest.mark.parametrize("reader", [fresh(), remembering()], ids=["fresh", "remembering"])
def test_a_delivery_cut_anywhere_is_incomplete(reader: DeliveryReader) -> None:
    whole = encoded(body=b"abcdefg", chunk=3)
    for length in range(len(whole)):
        with pytest.raises(Incomplete):
            reader.take(whole[:length], 0)
        with pytest.raises(Incomplete):
            reader.take(b"earlier" + whole[:length], len(b"earlier"))


# What is left to pika

OTHERS = {
    "another channel": encoded(channel=CHANNEL + 1),
    "another consumer": encoded(consumer="ctag1.abd"),
    "a consumer of a shorter name": encoded(consumer="ctag1.ab"),
    "a consumer without a name": encoded(consumer=""),
    "another method": bytes(frame.Method(CHANNEL, Basic.CancelOk(CONSUMER)).marshal()),
    "the answer to a get": bytes(frame.Method(CHANNEL, Basic.GetEmpty("")).marshal()),
    "a heartbeat": bytes(frame.Heartbeat().marshal()),
    "a header without its method": bytes(frame.Header(CHANNEL, 7, usual()).marshal()),
    "a body without its header": bytes(frame.Body(CHANNEL, b"picture").marshal()),
    "a protocol header": bytes(frame.ProtocolHeader().marshal()),
    "priority": encoded(usual(priority=1)),
    "correlation id": encoded(usual(correlation_id="x")),
    "expiration": encoded(usual(expiration="500")),
    "no properties": encoded(BasicProperties()),
    "no user id": encoded(usual(user_id=None)),
    "no headers": encoded(usual(headers=None)),
    "a nested table": encoded(usual(headers=HEADER.to_amqp() | {"more": {"x": 1}})),
    "an array": encoded(usual(headers=HEADER.to_amqp() | {"more": [1, 2]})),
    "a timestamp": encoded(usual(headers=HEADER.to_amqp() | {"more": datetime(2026, 1, 1, tzinfo=UTC)})),
    "bytes": encoded(usual(headers=HEADER.to_amqp() | {"more": b"x"})),
    "nothing": encoded(usual(headers=HEADER.to_amqp() | {"more": None})),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("remembered", [False, True], ids=["fresh", "remembering"])
def test_what_is_not_a_usual_delivery_to_this_consumer_is_not_plain(other: bytes, remembered: bool) -> None:
    reader = remembering() if remembered else fresh()
    with pytest.raises(NotPlain):
        reader.take(other, 0)


def test_a_consumer_whose_name_begins_with_ours_is_another_one() -> None:
    with pytest.raises(NotPlain):
        fresh().take(encoded(consumer=CONSUMER + "d"), 0)


def test_a_frame_of_another_channel_between_header_and_body_is_left_to_pika() -> None:
    whole = encoded()
    body = bytes(frame.Body(CHANNEL, b"picture").marshal())
    between = bytes(frame.Heartbeat().marshal())
    with pytest.raises(NotPlain):
        fresh().take(whole[: -len(body)] + between + body, 0)


def test_a_body_longer_than_its_header_says_is_left_to_pika() -> None:
    whole = encoded(body=b"")
    with pytest.raises(NotPlain):
        fresh().take(
            whole.replace(
                bytes(frame.Header(CHANNEL, 0, usual()).marshal()),
                bytes(frame.Header(CHANNEL, 3, usual()).marshal()),
            )
            + bytes(frame.Body(CHANNEL, b"four").marshal()),
            0,
        )


@pytest.mark.parametrize("text", [b"\xff", b"\xc3"])
def test_text_that_is_none_is_left_to_pika(text: bytes) -> None:
    # pika gives bytes there, and the message is then refused by its field.
    stream = encoded(usual(app_id="?" * len(text)))
    at = stream.rindex(b"?" * len(text))
    with pytest.raises(NotPlain):
        fresh().take(stream[:at] + text + stream[at + len(text) :], 0)


def test_a_table_that_says_it_is_longer_than_its_frame_is_left_to_pika() -> None:
    table_at = encoded().index(b"\x01v")
    stream = encoded()
    with pytest.raises(NotPlain):
        fresh().take(stream[: table_at - 4] + struct.pack(">I", 2**32 - 1) + stream[table_at:], 0)
