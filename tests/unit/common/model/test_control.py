from __future__ import annotations

import itertools
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
    ProducerNotice,
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
CLOCK_REQUEST = ClockRequest(stream="cam", name="c1", asked_ns=5_000_000_001)
CLOCK_REPLY = ClockReply(
    stream="cam", name="c1", asked_ns=5_000_000_001, received_ns=1_700_000_000_000_000_002, replied_ns=3
)
NOTICE = ProducerNotice(stream="cam", name="host-7", id=99)
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
        "clock_request": (CLOCK_REQUEST, b'{"v":1,"stream":"cam","name":"c1","asked_ns":5000000001}'),
        "clock_reply": (
            CLOCK_REPLY,
            b'{"v":1,"stream":"cam","name":"c1","asked_ns":5000000001,'
            b'"received_ns":1700000000000000002,"replied_ns":3}',
        ),
        "producer_notice": (NOTICE, b'{"v":1,"stream":"cam","name":"host-7","id":99}'),
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
def test_every_field_is_required_and_named(kind: str, message: ControlMessage, golden: bytes) -> None:
    for field in json.loads(golden):
        content = {k: v for k, v in json.loads(golden).items() if k != field}
        error = refusal(kind, json.dumps(content).encode())
        assert (error.field, error.value) == (field, None)


@pytest.mark.parametrize("kind", [None, "", "keyframe", "Receiver_Report", "receiver_report "])
def test_an_unknown_type_is_refused(kind: str | None) -> None:
    text = f"type is {kind!r}: allowed is clock_reply, clock_request, keyframe_request, "
    text += "producer_notice, receiver_report"
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


@pytest.mark.parametrize(("kind", "golden"), [(kind, golden) for kind, _, golden in GOLDEN_ITEMS])
def test_a_body_cut_off_anywhere_is_refused(kind: str, golden: bytes) -> None:
    for length in range(len(golden)):
        assert refusal(kind, golden[:length]).allowed == "a JSON object", f"cut to {length} bytes"


def test_a_body_that_is_too_large_is_refused_unread() -> None:
    padded = body(REQUEST).ljust(MAX_CONTROL_BYTES)
    assert parse("keyframe_request", padded) == REQUEST
    error = refusal("keyframe_request", padded + b" ")
    assert str(error) == "body size is 4097: allowed is up to 4096 bytes"


BAD_VALUES: dict[str, tuple[ControlMessage, tuple[str, ...], str, list[object]]] = {
    "names": (
        REQUEST, ("stream", "name"), "1 to 64 letters, digits, '-' or '_'",
        [None, 1, True, ["cam"], {}, "", "a" * 65, "ca m", "cam\n", "\ud800", "a.b"],
    ),
    "reasons": (
        REQUEST, ("reason",), "join, gap, decode_error",
        [None, 1, "", "GAP", "other", ["gap"], {"gap": 1}],
    ),
    "counters": (
        REPORT, COUNTERS, "a whole number from -1 to 9223372036854775807",
        [None, True, 1.0, "1", [1], {}, -2, 2**63, 10**300, math.nan],
    ),
    "times": (
        REPORT, TIMES, "a number of milliseconds",
        [None, True, "1", [1.0], {}, math.nan, math.inf, -math.inf, 1e13, -1e13, 10**300],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_VALUES)
def test_a_bad_value_is_refused_with_its_field_and_the_rule(case: str) -> None:
    message, fields, allowed, values = BAD_VALUES[case]
    for field, value in itertools.product(fields, values):
        error = refusal(message.TYPE, body(message, **{field: value}))
        assert (error.field, error.allowed) == (field, allowed), f"{field} {value!r}"


def test_unknown_fields_are_ignored_and_whole_milliseconds_are_floats() -> None:
    report = parse("receiver_report", body(REPORT, age_p50_ms=12, extra=[1, 2]))
    assert isinstance(report, ReceiverReport)
    assert report == replace(REPORT, age_p50_ms=12.0)
    assert repr(report.age_p50_ms) == "12.0"


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b'{"v":', b"}"), (b'{"v":1,"stream":', b"}")])
def test_nesting_of_any_depth_is_refused(before: bytes, after: bytes) -> None:
    # Just below CPython's limit of 1000 levels the parser succeeds, and the next access to the value fails.
    for depth in (1, 10, 100, *range(850, 1010), 1500, 2030):
        error = refusal("keyframe_request", before + b"[" * depth + b"]" * depth + after)
        assert error.field in ("body", "v", "stream")


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


def flipped(golden: bytes, bit: int) -> bytes:
    return (int.from_bytes(golden) ^ 1 << bit % (8 * len(golden))).to_bytes(len(golden))


bit_flips = st.builds(flipped, st.sampled_from([golden for *_, golden in GOLDEN_ITEMS]), st.integers(0))
json_bytes = json_values.map(lambda value: json.dumps(value).encode())


@given(kinds, json_bytes | changed | bit_flips | st.binary(max_size=200))
def test_any_message_is_read_or_a_wire_format_error(kind: str | None, content: bytes) -> None:
    try:
        message = parse(kind, content)
    except WireFormatError as error:
        refused = str(error)
    else:
        assert parse(kind, serialize(message)) == message
        assert kind == message.TYPE
        return
    assert "\n" not in refused
    assert len(refused.encode()) < 1000


def test_a_clock_reply_repeats_the_request_and_adds_the_times() -> None:
    assert answer(CLOCK_REQUEST, received_ns=1_700_000_000_000_000_002, now_ns=3) == CLOCK_REPLY
