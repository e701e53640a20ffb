from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import MAX_BODY_BYTES, Codec, EncodedFrame
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.wire import (
    MAX_HEADER_BYTES,
    Hello,
    Message,
    MessageKind,
    MessageReader,
    message,
)
from tests.unit.common.transport.tcp.build import (
    ANNOUNCEMENT,
    HEADER,
    HELLO,
    KEYFRAME_REQUEST,
    WELCOME,
    follow,
    frame_of,
    read_one,
)

NONCE: Final = "00112233445566778899aabbccddeeff"
# What is on the wire, literally. A change here breaks every client in every language: it needs a new
# version.
GOLDEN: Final = {
    MessageKind.HELLO: (
        b'FL\x01\x01\x00\x00\x00\x2c\x00\x00\x00\x00{"stream":"cam","name":"desk","follow":true}',
        HELLO,
    ),
    MessageKind.WELCOME: (b"FL\x01\x02\x00\x00\x00\x02\x00\x00\x00\x00{}", WELCOME),
    MessageKind.REFUSAL: (
        b'FL\x01\x03\x00\x00\x00\x0f\x00\x00\x00\x00{"reason":"no"}',
        message(MessageKind.REFUSAL, {"reason": "no"}),
    ),
    MessageKind.FRAME: (
        b"FL\x01\x04\x00\x00\x00\xbc\x00\x00\x00\x0a"
        b'{"v":1,"stream":"cam","epoch":1234605616436508552,"seq":7,"capture_ns":1700000000123456789,'
        b'"width":1280,"height":720,"key":true,"fps":29.97,"content_type":"video/h264","app_id":"fanlight"}'
        b"\x00\x00\x01picture",
        wire.frame_message(EncodedFrame(HEADER, b"\0\0\1picture")),
    ),
    MessageKind.CONTROL: (
        b"FL\x01\x05\x00\x00\x00\x1b\x00\x00\x00\x33"
        b'{"type":"keyframe_request"}{"v":1,"stream":"cam","name":"desk","reason":"gap"}',
        wire.control_message(KEYFRAME_REQUEST),
    ),
    MessageKind.FOLLOW: (b'FL\x01\x06\x00\x00\x00\x10\x00\x00\x00\x00{"follow":false}', follow(False)),
    MessageKind.CHALLENGE: (
        b'FL\x01\x07\x00\x00\x00\x2c\x00\x00\x00\x00{"nonce":"00112233445566778899aabbccddeeff"}',
        message(MessageKind.CHALLENGE, {"nonce": NONCE}),
    ),
    MessageKind.ANSWER: (
        b"FL\x01\x08\x00\x00\x00\x57\x00\x00\x00\x00"
        b'{"nonce":"00112233445566778899aabbccddeeff","proof":"00112233445566778899aabbccddeeff"}',
        message(MessageKind.ANSWER, {"nonce": NONCE, "proof": NONCE}),
    ),
    MessageKind.ANNOUNCEMENT: (
        b"FL\x01\x09\x00\x00\x00\x02\x00\x00\x00\x92{}"
        b'{"v":1,"stream":"cam","codec":"jpeg","width":null,"height":null,"fps":30.0,"epoch":7,'
        b'"since_ns":1700000000123456789,"watched":false,"ended":false}',
        wire.announcement_message(ANNOUNCEMENT),
    ),
    MessageKind.BYE: (
        b"FL\x01\x0a\x00\x00\x00\x3d\x00\x00\x00\x00"
        b'{"v":1,"stream":"cam","epoch":7,"seq":41,"app_id":"fanlight"}',
        wire.bye_message(Bye("cam", 7, 41)),
    ),
}
EVERYTHING: Final = b"".join(golden for golden, _ in GOLDEN.values())


def prefix(
    magic: bytes = b"FL", version: int = 1, kind: int = 1, header_size: int = 2, body_size: int = 0
) -> bytes:
    return struct.pack(">2sBBII", magic, version, kind, header_size, body_size)


def refusal(data: bytes, reader: MessageReader | None = None) -> str:
    with pytest.raises(WireFormatError) as caught:
        (reader or MessageReader()).feed(memoryview(data))
    return str(caught.value)


def fed(reader: MessageReader, *chunks: bytes) -> list[Message]:
    return [one for chunk in chunks for one in reader.feed(memoryview(chunk))]


# Golden bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MessageKind)
def test_the_golden_bytes_are_written_and_read(kind: MessageKind) -> None:
    golden, written = GOLDEN[kind]
    assert written == golden
    assert read_one(golden).kind is kind


# Cutting -------------------------------------------------------------------------------------------------


def test_it_reports_whether_a_message_has_begun() -> None:
    reader, seen = MessageReader(), []
    for n in range(len(HELLO)):
        fed(reader, HELLO[n : n + 1])
        seen.append(reader.partial)
    assert seen == [True] * (len(HELLO) - 1) + [False]
    fed(reader, HELLO + WELCOME[:1])
    assert reader.partial


def test_what_was_read_does_not_change_with_the_buffer_it_came_in() -> None:
    buffer = bytearray(EVERYTHING)
    (*_, last) = MessageReader().feed(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert last == read_one(list(GOLDEN.values())[-1][0])


# Refusals ------------------------------------------------------------------------------------------------


KINDS = (
    "1 (hello), 2 (welcome), 3 (refusal), 4 (frame), 5 (control), 6 (follow), 7 (challenge), 8 (answer), "
    "9 (announcement), 10 (bye)"
)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        *[(one, f"magic is {one!r}: allowed is {b'FL'!r}") for one in (b"G", b"\0", b"\xff", b"f", b"L")],
        *[(prefix(version=one), f"version is {one}: allowed is 1") for one in (0, 2, 255)],
        *[(prefix(kind=one), f"kind is {one}: allowed is {KINDS}") for one in (0, 11, 255)],
        *[
            (prefix(header_size=size), f"header size is {size}: allowed is up to 4096 bytes")
            for size in (MAX_HEADER_BYTES + 1, 2**32 - 1)
        ],
        *[
            (prefix(body_size=size), f"body size is {size}: allowed is up to 16777216 bytes")
            for size in (MAX_BODY_BYTES + 1, 2**32 - 1)
        ],
    ],
)
def test_a_wrong_prefix_is_refused_before_more_comes(data: bytes, text: str) -> None:
    assert refusal(data) == text


def test_wrong_magic_is_refused_behind_a_whole_message_and_a_part() -> None:
    assert refusal(HELLO + b"x").startswith("magic is b'x'")
    reader = MessageReader()
    fed(reader, HELLO[:-1])
    assert refusal(HELLO[-1:] + b"x", reader).startswith("magic is b'x'")


def test_up_to_the_limits_all_is_read() -> None:
    reader = MessageReader(max_header=15, max_body=3)
    whole = message(MessageKind.REFUSAL, {"reason": "no"}, b"abc")
    assert fed(reader, whole) == [Message(MessageKind.REFUSAL, b'{"reason":"no"}', b"abc")]
    assert refusal(message(MessageKind.REFUSAL, {"reason": "no!"}), reader).startswith("header size is 16")
    assert refusal(message(MessageKind.REFUSAL, {}, b"abcd"), reader).startswith("body size is 4")


@pytest.mark.parametrize("header", [b"", b"[]", b"1", b"null", b"{", b"\xff\xfe{", b"[" * 4096])
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    with pytest.raises(WireFormatError, match=r"^header is b.*: allowed is a JSON object$"):
        wire.read_object(Message(MessageKind.HELLO, header, b""))


# Each kind -----------------------------------------------------------------------------------------------


def table_of(kind: MessageKind, **table: object) -> Message:
    return read_one(message(kind, table))


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("fps", [30.0, 29.97, 24000 / 1001, 1 / 3600])
def test_frames_of_all_codecs_are_read_as_they_were_written(codec: Codec, fps: float) -> None:
    frame = frame_of(codec, fps=fps)
    again = wire.read_frame(read_one(wire.frame_message(frame)))
    assert again == frame
    assert again.header.fps == fps, "not rounded: this wire has floats"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"content_type": None}, "content_type"),
        ({"content_type": 5}, "content_type"),
        ({"content_type": "image/gif"}, "content_type"),
        ({"app_id": ["fanlight"]}, "app_id"),
        ({"app_id": "other"}, "app_id"),
        ({"v": 2}, "v"),
        ({"seq": -1}, "seq"),
        ({"seq": 1.5}, "seq"),
        ({"fps": "30"}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"key": 1}, "key"),
        ({}, "body size"),
    ],
)
def test_a_frame_with_a_wrong_field_is_refused(changes: dict[str, object], field: str) -> None:
    whole = read_one(GOLDEN[MessageKind.FRAME][0])
    table = wire.read_object(whole) | changes
    body = b"" if field == "body size" else whole.body
    with pytest.raises(WireFormatError) as caught:
        wire.read_frame(read_one(message(MessageKind.FRAME, table, body)))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("table", "body", "field"),
    [
        ({}, b"{}", "type"),
        ({"type": "other"}, b"{}", "type"),
        ({"type": 1}, b"{}", "type"),
        ({"type": "clock_request"}, b"", "body"),
        ({"type": "clock_request"}, b'{"v":1}', "stream"),
    ],
)
def test_a_control_message_that_is_none_is_refused(
    table: dict[str, object], body: bytes, field: str
) -> None:
    with pytest.raises(WireFormatError) as caught:
        wire.read_control(read_one(message(MessageKind.CONTROL, table, body)))
    assert caught.value.field == field


def test_a_client_follows_by_default() -> None:
    assert wire.read_hello(table_of(MessageKind.HELLO, stream="cam", name="desk")).follow is True
    assert wire.read_follow(table_of(MessageKind.FOLLOW)) is True


@pytest.mark.parametrize("value", [None, 1, "", "a b", "a\n", "x" * 65, ["a"]])
def test_a_hello_with_a_wrong_name_is_refused(value: object) -> None:
    for field in ("stream", "name"):
        with pytest.raises(WireFormatError) as caught:
            wire.read_hello(table_of(MessageKind.HELLO, **{"stream": "cam", "name": "desk", field: value}))
        assert (caught.value.field, caught.value.value) == (field, value)


@pytest.mark.parametrize("read", [wire.read_hello, wire.read_follow])
@pytest.mark.parametrize("value", [None, 0, 1, "true", []])
def test_a_wish_is_true_or_false(read: Callable[[Message], Any], value: object) -> None:
    table: dict[str, object] = {"stream": "cam", "name": "desk", "follow": value}
    with pytest.raises(WireFormatError, match=r"^follow is .*: allowed is true or false$"):
        read(table_of(MessageKind.FOLLOW, **table))


def test_a_reason_is_text_for_people() -> None:
    assert wire.read_reason(table_of(MessageKind.REFUSAL, reason="why — so")) == "why — so"
    for reason in (None, 5, "", "a\nb", "\x1b[31m", "\ud800"):
        with pytest.raises(WireFormatError, match=r"^reason is "):
            wire.read_reason(table_of(MessageKind.REFUSAL, reason=reason))


# The token -----------------------------------------------------------------------------------------------


def test_a_refusal_names_the_wrong_field() -> None:
    refused = read_one(wire.refusal_message("no", "token"))
    assert (wire.read_reason(refused), wire.read_wrong_field(refused)) == ("no", "token")
    assert wire.read_wrong_field(read_one(wire.refusal_message("no"))) is None


def test_a_hello_announces_a_token() -> None:
    hello = Hello("cam", "desk", follow=True, token=True, bye=True)
    assert wire.read_hello(read_one(wire.hello_message(hello))) == hello
    with pytest.raises(WireFormatError, match=r"^token is 1: allowed is true or false$"):
        wire.read_hello(table_of(MessageKind.HELLO, stream="cam", name="desk", token=1))


@pytest.mark.parametrize(
    "value", [None, 5, "", "ab", "A" * 32, "g" * 32, "a" * 31, "a" * 129, "a" * 32 + "\n"]
)
def test_nonces_and_proofs_are_hex(value: object) -> None:
    for read in (wire.read_nonce, wire.read_answer):
        with pytest.raises(WireFormatError, match=r"^nonce is .* lower case$"):
            read(table_of(MessageKind.ANSWER, nonce=value, proof=NONCE))
    for kind, read_it in ((MessageKind.ANSWER, wire.read_answer), (MessageKind.WELCOME, wire.read_proof)):
        with pytest.raises(WireFormatError, match=r"^proof is .* lower case$"):
            read_it(table_of(kind, nonce=NONCE, proof=value))
    assert wire.read_proof(table_of(MessageKind.WELCOME)) == ""


# Properties ----------------------------------------------------------------------------------------------

READERS: Final[tuple[Callable[[Message], object], ...]] = (
    wire.read_frame, wire.read_control, wire.read_hello, wire.read_follow, wire.read_reason,
    wire.read_wrong_field, wire.read_nonce, wire.read_answer, wire.read_proof, wire.read_object,
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS: Final = [
    *wire.read_object(read_one(GOLDEN[MessageKind.FRAME][0])),
    "name",
    "follow",
    "reason",
    "type",
    "nonce",
]
tables = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), json_values, max_size=12)
kinds = st.sampled_from(MessageKind)
messages = st.builds(message, kinds, tables, st.binary(max_size=100))
# Of whole messages, cut, damaged and put together.
damaged = st.lists(
    messages | st.sampled_from([golden for golden, _ in GOLDEN.values()]) | st.binary(max_size=40),
    max_size=5,
).map(b"".join)


def attempt(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except WireFormatError as refused:
        error = refused
    assert "\n" not in str(error)
    assert len(str(error).encode()) < 1000, "a peer must not be able to flood the log"
    return None


@given(st.binary(max_size=200) | damaged, st.integers(1, 60))
def test_any_bytes_are_messages_or_a_wire_format_error(data: bytes, size: int) -> None:
    reader = MessageReader()
    for at in range(0, len(data), size):
        chunk = data[at : at + size]
        read = attempt(lambda chunk=chunk: reader.feed(memoryview(chunk)))  # type: ignore[misc]
        if read is None:
            return
        assert all(isinstance(one, Message) for one in read)


@given(kinds, st.binary(max_size=200), st.binary(max_size=100))
def test_any_header_and_body_is_understood_or_a_wire_format_error(
    kind: MessageKind, header: bytes, body: bytes
) -> None:
    for read in READERS:
        attempt(lambda read=read: read(Message(kind, header, body)))  # type: ignore[misc]


@given(messages)
def test_any_json_object_is_understood_or_a_wire_format_error(data: bytes) -> None:
    for read in READERS:
        attempt(lambda read=read: read(read_one(data)))  # type: ignore[misc]


@given(
    st.lists(st.builds(Message, kinds, st.binary(max_size=30), st.binary(max_size=300)), max_size=5),
    st.lists(st.integers(0, 500), max_size=8),
)
def test_however_the_stream_is_cut_the_messages_are_the_same(whole: list[Message], cuts: list[int]) -> None:
    stream = b"".join(
        prefix(kind=one.kind, header_size=len(one.header), body_size=len(one.body)) + one.header + one.body
        for one in whole
    )
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(ends)]
    reader = MessageReader()
    assert fed(reader, *chunks) == whole
    assert not reader.partial
