from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.control import (
    CONTENT_TYPE,
    MAX_CONTROL_BYTES,
    VERSION,
    ClockReply,
    ClockRequest,
    ControlMessage,
    KeyframeRequest,
    Reason,
    ReceiverReport,
    answer,
    parse,
    serialize,
)
from fanlight.common.model.errors import WireFormatError

REQUEST = KeyframeRequest(stream="cam", name="c1", reason=Reason.GAP)
REPORT = ReceiverReport(
    stream="cam",
    name="wall-1",
    epoch=2**63 - 1,
    highest_seq=300,
    received=299,
    lost=2,
    presented=290,
    late=9,
    age_p50_ms=12.5,
    age_p99_ms=31.25,
    jitter_ms=0.5,
    playout_skew_ms=0.0,
)
ASKS = ClockRequest(stream="cam", name="c1", asked_ns=5_000_000_001)
ANSWERS = ClockReply(
    stream="cam", name="c1", asked_ns=5_000_000_001, received_ns=1_700_000_000_000_000_002, replied_ns=3
)
# What is on the wire, literally, per version.
GOLDEN: dict[int, dict[str, tuple[ControlMessage, bytes]]] = {
    1: {
        "keyframe_request": (REQUEST, b'{"v":1,"stream":"cam","name":"c1","reason":"gap"}'),
        "receiver_report": (
            REPORT,
            b'{"v":1,"stream":"cam","name":"wall-1","epoch":9223372036854775807,"highest_seq":300,'
            b'"received":299,"lost":2,"presented":290,"late":9,"age_p50_ms":12.5,"age_p99_ms":31.25,'
            b'"jitter_ms":0.5,"playout_skew_ms":0.0}',
        ),
        "clock_request": (ASKS, b'{"v":1,"stream":"cam","name":"c1","asked_ns":5000000001}'),
        "clock_reply": (
            ANSWERS,
            b'{"v":1,"stream":"cam","name":"c1","asked_ns":5000000001,'
            b'"received_ns":1700000000000000002,"replied_ns":3}',
        ),
    }
}
GOLDEN_ITEMS = [(kind, *pair) for kind, pair in GOLDEN[1].items()]
COUNTERS = ("epoch", "highest_seq", "received", "lost", "presented", "late")
TIMES = ("age_p50_ms", "age_p99_ms", "jitter_ms", "playout_skew_ms")


def body(message: ControlMessage, **changes: object) -> bytes:
    return json.dumps({"v": VERSION, **asdict(message), **changes}).encode()


def refusal(kind: str | None, content: bytes) -> WireFormatError:
    with pytest.raises(WireFormatError) as caught:
        parse(kind, content)
    return caught.value


def read(kind: str | None, content: bytes) -> ControlMessage | WireFormatError:
    try:
        return parse(kind, content)
    except WireFormatError as error:
        return error


def test_the_current_version_has_golden_bytes_for_every_type() -> None:
    assert set(GOLDEN) == {VERSION}
    assert {type(message) for _, message, _ in GOLDEN_ITEMS} == set(get_args(ControlMessage))
    assert [kind for kind, message, _ in GOLDEN_ITEMS if kind != message.TYPE] == []
    assert CONTENT_TYPE == "application/json"


@pytest.mark.parametrize(("kind", "message", "golden"), GOLDEN_ITEMS)
def test_golden_bytes_both_ways(kind: str, message: ControlMessage, golden: bytes) -> None:
    assert serialize(message) == golden
    assert parse(kind, golden) == message


@pytest.mark.parametrize(("kind", "message", "golden"), GOLDEN_ITEMS)
def test_cut_at_every_offset_it_is_refused(kind: str, message: ControlMessage, golden: bytes) -> None:
    for length in range(len(golden)):
        error = refusal(kind, golden[:length])
        assert (error.field, error.allowed) == ("body", "a JSON object"), f"cut to {length} bytes"


@pytest.mark.parametrize(("kind", "message", "golden"), GOLDEN_ITEMS)
def test_with_any_one_bit_flipped_it_is_read_or_refused(
    kind: str, message: ControlMessage, golden: bytes
) -> None:
    refused = 0
    for bit in range(len(golden) * 8):
        flipped = bytearray(golden)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert type(parse(kind, bytes(flipped))) is type(message)
        except WireFormatError:
            refused += 1
    assert refused > len(golden) * 4, "more than half of all flips hit a name, a brace or a quote"


@pytest.mark.parametrize(("kind", "message", "golden"), GOLDEN_ITEMS)
def test_every_field_is_required_and_named(kind: str, message: ControlMessage, golden: bytes) -> None:
    for field in json.loads(golden):
        content = {k: v for k, v in json.loads(golden).items() if k != field}
        error = refusal(kind, json.dumps(content).encode())
        assert (error.field, error.value) == (field, None)


@pytest.mark.parametrize("kind", [None, "", "keyframe", "Receiver_Report", "receiver_report "])
def test_an_unknown_type_is_refused(kind: str | None) -> None:
    text = f"type is {kind!r}: allowed is clock_reply, clock_request, keyframe_request, receiver_report"
    assert str(refusal(kind, body(REQUEST))) == text


@pytest.mark.parametrize("version", [0, 2, -1, True, "1", None, [1], 1.5, 2**63])
def test_an_unknown_version_is_refused(version: object) -> None:
    error = refusal("keyframe_request", body(REQUEST, v=version))
    assert str(error) == f"v is {version!r}: allowed is 1"


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b'"x"', b"1", b"{", b"\xff\xfe", b"\x00", b"{}x", b"NaN"]
)
def test_a_body_that_is_no_json_object_is_refused(content: bytes) -> None:
    assert str(refusal("keyframe_request", content)) == f"body is {content!r}: allowed is a JSON object"


def test_a_body_that_is_too_large_is_refused_unread() -> None:
    padded = body(REQUEST).ljust(MAX_CONTROL_BYTES)
    assert parse("keyframe_request", padded) == REQUEST
    error = refusal("keyframe_request", padded + b" ")
    assert str(error) == "body size is 4097: allowed is up to 4096 bytes"


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b'{"v":', b"}"), (b'{"v":1,"stream":', b"}")])
def test_nesting_of_any_depth_is_refused(before: bytes, after: bytes) -> None:
    # Just below CPython's limit of 1000 levels the parser succeeds, and the next access to the value fails.
    for depth in (1, 10, 100, *range(850, 1010), 1500, 2030):
        error = refusal("keyframe_request", before + b"[" * depth + b"]" * depth + after)
        assert error.field in ("body", "v", "stream")


@pytest.mark.parametrize("field", ["stream", "name"])
@pytest.mark.parametrize(
    "value", [None, 1, True, ["cam"], {}, "", "a" * 65, "ca m", "cam\n", "\ud800", "a.b"]
)
def test_names_follow_the_rule_for_names(field: str, value: object) -> None:
    error = refusal("keyframe_request", body(REQUEST, **{field: value}))
    assert (error.field, error.allowed) == (field, "1 to 64 letters, digits, '-' or '_'")


@pytest.mark.parametrize("value", [None, 1, "", "GAP", "other", ["gap"], {"gap": 1}])
def test_a_reason_is_one_of_three(value: object) -> None:
    error = refusal("keyframe_request", body(REQUEST, reason=value))
    assert (error.field, error.allowed) == ("reason", "join, gap, decode_error")


@pytest.mark.parametrize("field", COUNTERS)
@pytest.mark.parametrize("value", [None, True, 1.0, "1", [1], {}, -2, 2**63, 10**300, math.nan])
def test_counters_are_whole_numbers_of_63_bits(field: str, value: object) -> None:
    error = refusal("receiver_report", body(REPORT, **{field: value}))
    assert (error.field, error.allowed) == (field, "a whole number from -1 to 9223372036854775807")


@pytest.mark.parametrize("field", TIMES)
@pytest.mark.parametrize(
    "value", [None, True, "1", [1.0], {}, math.nan, math.inf, -math.inf, 1e13, -1e13, 10**300]
)
def test_times_are_finite_numbers(field: str, value: object) -> None:
    error = refusal("receiver_report", body(REPORT, **{field: value}))
    assert (error.field, error.allowed) == (field, "a number of milliseconds")


def test_a_time_written_as_a_whole_number_becomes_a_float() -> None:
    report = parse("receiver_report", body(REPORT, age_p50_ms=12))
    assert isinstance(report, ReceiverReport)
    assert repr(report.age_p50_ms) == "12.0"


def test_unknown_fields_are_ignored() -> None:
    assert parse("keyframe_request", body(REQUEST, extra=[1, 2])) == REQUEST


# Properties --------------------------------------------------------------------------------------------

names = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
milliseconds = st.floats(-1e12, 1e12)
counters = st.integers(-1, 2**63 - 1)
messages = st.builds(KeyframeRequest, stream=names, name=names, reason=st.sampled_from(Reason)) | st.builds(
    ReceiverReport,
    stream=names,
    name=names,
    **dict.fromkeys(COUNTERS, counters),
    **dict.fromkeys(TIMES, milliseconds),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
kinds = st.sampled_from([*GOLDEN[1], None, "other"])
field_names = st.sampled_from(["v", "stream", "name", "reason", *COUNTERS, *TIMES])
changed = st.builds(
    lambda message, changes: body(message, **changes),
    st.sampled_from([REQUEST, REPORT]),
    st.dictionaries(field_names, json_values, max_size=2),
)


@given(messages)
def test_a_serialized_message_parses_to_itself(message: ControlMessage) -> None:
    written = serialize(message)
    assert len(written) <= MAX_CONTROL_BYTES
    assert parse(message.TYPE, written) == message


@given(kinds, json_values.map(lambda value: json.dumps(value).encode()) | changed | st.binary(max_size=200))
def test_any_message_is_read_or_a_wire_format_error(kind: str | None, content: bytes) -> None:
    message = read(kind, content)
    if isinstance(message, WireFormatError):
        assert "\n" not in str(message)
        assert len(str(message).encode()) < 1000
    else:
        assert parse(kind, serialize(message)) == message
        assert kind == message.TYPE


def test_a_nan_that_was_sent_is_refused() -> None:
    sent = serialize(replace(REPORT, jitter_ms=math.nan))
    assert refusal("receiver_report", sent).field == "jitter_ms"


def test_a_clock_reply_repeats_the_request_and_adds_the_times() -> None:
    assert answer(ASKS, received_ns=1_700_000_000_000_000_002, now_ns=3) == ANSWERS
