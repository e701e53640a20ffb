from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import (
    APP_ID,
    MAX_BODY_BYTES,
    MAX_FPS,
    MAX_PIXELS,
    MAX_SIDE,
    MIN_FPS,
    Codec,
    EncodedFrame,
    FrameHeader,
    rate_fraction,
)
from fanlight.common.model.meta import to_text
from tests.support.copies import EVERY_COPY
from tests.unit.common.json_values import METAS

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

# What is on the wire, literally. A change here breaks every client in every language: it needs a new
# version, and the old table stays.
GOLDEN: dict[int, dict[str, object]] = {
    1: {
        "v": 1,
        "stream": "cam",
        "epoch": 1234605616436508552,
        "seq": 7,
        "capture_ns": 1700000000123456789,
        "width": 1280,
        "height": 720,
        "key": True,
        "fps": Decimal("29.97"),
    }
}
FIELDS = tuple(GOLDEN[1])


def read(
    table: Any,
    *,
    content_type: str | None = "video/h264",
    app_id: str | None = APP_ID,
    body_size: int = 100,
) -> FrameHeader:
    return FrameHeader.from_amqp(table, content_type=content_type, app_id=app_id, body_size=body_size)


def table(**changes: object) -> dict[str, object]:
    return {**GOLDEN[1], **changes}


def without(field: str) -> dict[str, object]:
    return {name: value for name, value in GOLDEN[1].items() if name != field}


def whole(low: int, high: int) -> str:
    return f"a whole number from {low} to {high}"


# Golden tables -----------------------------------------------------------------------------------------


def test_the_golden_table_is_written_types_included_and_read() -> None:
    written = HEADER.to_amqp()
    assert str(written) == str(GOLDEN[1])
    assert list(written) == list(GOLDEN[1])
    assert {k: type(v) for k, v in written.items()} == {k: type(v) for k, v in GOLDEN[1].items()}
    assert read(GOLDEN[1]) == read(table(x_trace="abc", other=[1])) == HEADER, "others are ignored"


@pytest.mark.parametrize(
    ("codec", "content_type", "intra_only"),
    [
        (Codec.H264, "video/h264", False),
        (Codec.JPEG, "image/jpeg", True),
        (Codec.PNG, "image/png", True),
        (Codec.RAW, "application/x-raw-bgr", True),
    ],
)
def test_content_types_are_those_of_the_contract(codec: Codec, content_type: str, intra_only: bool) -> None:
    assert codec.content_type == content_type
    assert codec.intra_only is intra_only
    size = 1280 * 720 * 3 if codec is Codec.RAW else 100
    assert read(GOLDEN[1], content_type=content_type, body_size=size).codec is codec


def test_fps_is_read_from_any_type_of_number() -> None:
    for fps in (30, 30.0, Decimal(30), Decimal("30.000"), Decimal("3E+1")):
        assert repr(read(table(fps=fps)).fps) == "30.0"


def test_a_rate_below_the_lowest_is_taken_for_the_lowest() -> None:
    assert read(table(fps=1e-300)).fps == read(table(fps=1e-6)).fps == 1e-6


@pytest.mark.parametrize(
    ("fps", "fraction"),
    [
        (30, Fraction(30)), (1000, Fraction(1000)), (29.97, Fraction(2997, 100)),
        (30000 / 1001, Fraction(30000, 1001)), (0.3, Fraction(3, 10)), (0.0004, Fraction(1, 2500)),
        (1 / 86400, Fraction(1, 86400)), (1e-6, Fraction(1, 1_000_000)),
    ],
)  # fmt: skip
def test_a_rate_down_to_the_lowest_is_a_fraction_of_32_bits(fps: float, fraction: Fraction) -> None:
    assert rate_fraction(fps) == fraction


@pytest.mark.parametrize(
    ("fps", "written"),
    [
        (30.0, "30"), (30, "30"), (1000.0, "1000"), (29.97, "29.97"), (24000 / 1001, "23.976024"),
        (0.0625, "0.0625"), (1 / 3600, "0.000277777778"), (1e-300, "0.000001"),
    ],
)  # fmt: skip
def test_fps_is_written_in_the_types_that_pika_has(fps: float, written: str) -> None:
    value = HEADER._replace(fps=fps).to_amqp()["fps"]
    assert isinstance(value, (int, Decimal))
    assert not isinstance(value, bool)
    assert f"{Decimal(value):f}" == written


# Refusals: one field at a time, the whole sentence -----------------------------------------------------

INTEGER_RANGES = {
    "v": (0, INT63),
    "epoch": (0, INT63),
    "seq": (0, INT63),
    "capture_ns": (0, INT63),
    "width": (1, MAX_SIDE),
    "height": (1, MAX_SIDE),
}
RULES = {
    **{field: whole(*bounds) for field, bounds in INTEGER_RANGES.items()},
    "stream": "1 to 64 letters, digits, '-' or '_'",
    "key": "true or false",
    "fps": "a number above 0 and up to 1000",
}
A_DATE = datetime(2026, 1, 1, tzinfo=UTC)
WRONG_FOR_AN_INTEGER: list[object] = [
    None, True, False, 1.0, math.nan, "1", "", b"1", [1], [], {"a": 1}, Decimal(1), A_DATE,
]  # fmt: skip
BAD_VALUES: dict[str, list[object]] = {
    **{
        field: [*WRONG_FOR_AN_INTEGER, low - 1, high + 1, -(2**63), 2**63, 2**64]
        for field, (low, high) in INTEGER_RANGES.items()
    },
    "stream": [None, True, 1, 1.0, b"cam", ["cam"], {"s": 1}, "", "a" * 65, "ca m", "cam\n", "a.b", "é"],
    "key": [None, 0, 1, 1.0, "true", b"\x01", [], [True], {}],
    "fps": [
        None, True, False, "30", b"30", [30.0], 0, 0.0, -0.0, -1, 1000.001, 1001, 2**63, 10**400,
        math.nan, math.inf, -math.inf, Decimal(0), Decimal(-30), Decimal("1000.001"), Decimal("1E+999999"),
        Decimal("1E-999999"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"),
    ],
}  # fmt: skip


def test_every_field_of_the_wire_has_bad_values_here() -> None:
    assert set(BAD_VALUES) == set(RULES) == set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        read(without(field))
    assert str(caught.value) == f"{field} is None: allowed is {RULES[field]}"
    assert (caught.value.field, caught.value.value) == (field, None)


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BAD_VALUES.items() for value in values]
)
def test_a_bad_value_is_refused_with_its_field_and_the_rule(field: str, value: object) -> None:
    with pytest.raises(WireFormatError) as caught:
        read(table(**{field: value}))
    assert caught.value.field == field
    assert caught.value.value is value
    assert caught.value.allowed == RULES[field]
    assert RULES[field] in str(caught.value)


KNOWN_TYPES = "application/x-raw-bgr, image/jpeg, image/png, video/h264"
NO_TABLE = "the header table of wire version 1"
Refused = dict[str, Any]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        *[
            ({"app_id": app_id}, f"app_id is {app_id!r}: allowed is 'fanlight'")
            for app_id in (None, "", "Fanlight", "fanlight ", "other")
        ],
        *[
            ({"content_type": one}, f"content_type is {one!r}: allowed is {KNOWN_TYPES}")
            for one in (None, "", "image/gif", "IMAGE/JPEG", "image/jpeg; q=1", "h264", "application/x-x")
        ],
        *[
            ({"table": {"v": version, "stream": 5}}, f"v is {version}: allowed is 1")
            for version in (0, 2, 255, INT63)
        ],
        ({"table": None}, f"headers is None: allowed is {NO_TABLE}"),
        ({"table": {}}, f"headers is {{}}: allowed is {NO_TABLE}"),
        *[
            (
                {"table": table(key=False), "content_type": codec.content_type},
                f"key is False: allowed is true for {codec}, where every frame stands alone",
            )
            for codec in Codec
            if codec.intra_only
        ],
        *[
            ({"body_size": size}, f"body size is {size}: allowed is 1 to 16777216 bytes")
            for size in (-1, 0, MAX_BODY_BYTES + 1, 2**63)
        ],
        *[
            (
                {"table": table(width=width, height=height)},
                f"width x height is '{width}x{height}': allowed is up to 33177600 pixels",
            )
            for width, height in (
                (7680, 4321), (7681, 4320), (MAX_SIDE, MAX_SIDE), (MAX_SIDE, MAX_PIXELS // MAX_SIDE + 1)
            )
        ],
    ],
)  # fmt: skip
def test_a_message_that_breaks_a_rule_is_refused_in_one_sentence(change: Refused, text: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        read(**{"table": GOLDEN[1], **change})
    assert str(caught.value) == text


# Sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body_size", [1, MAX_BODY_BYTES])
@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (7680, 4320), (MAX_SIDE, 1), (1, MAX_SIDE), (641, 481)]
)
def test_the_largest_the_smallest_and_odd_sizes_are_accepted(
    width: int, height: int, body_size: int
) -> None:
    header = read(table(width=width, height=height), body_size=body_size)
    assert (header.width, header.height) == (width, height)


@pytest.mark.parametrize("off_by", [-1, 1])
def test_a_raw_body_has_exactly_the_bytes_of_its_picture(off_by: int) -> None:
    raw = table(width=4, height=2)
    assert read(raw, content_type="application/x-raw-bgr", body_size=24).codec is Codec.RAW
    with pytest.raises(WireFormatError) as caught:
        read(raw, content_type="application/x-raw-bgr", body_size=24 + off_by)
    assert str(caught.value) == f"body size is {24 + off_by}: allowed is 24 for this raw picture"


def test_the_producer_checks_sizes_with_the_same_rule() -> None:
    HEADER.check_sizes(100)
    with pytest.raises(WireFormatError, match="width x height"):
        HEADER._replace(width=MAX_SIDE, height=MAX_SIDE).check_sizes(100)
    with pytest.raises(WireFormatError, match="body size"):
        HEADER.check_sizes(0)


# Properties --------------------------------------------------------------------------------------------

int63 = st.integers(0, INT63)
sides = st.one_of(st.integers(1, MAX_SIDE), st.integers(1, 64))


def fits_amqp(value: Decimal) -> bool:
    """An AMQP decimal is one octet of decimals and 32 bits of digits."""
    exponent = value.normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -255 and value.scaleb(max(-exponent, 0)) < 2**31


headers = st.builds(
    FrameHeader,
    stream=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    codec=st.sampled_from([codec for codec in Codec if codec is not Codec.RAW]),
    epoch=int63,
    seq=int63,
    capture_ns=int63,
    width=sides,
    height=sides,
    key=st.booleans(),
    fps=st.floats(MIN_FPS, MAX_FPS),
    meta=METAS.map(to_text),
).filter(lambda h: h.width * h.height <= MAX_PIXELS and (h.key or not h.codec.intra_only))

# Everything that an AMQP field table can hold, as pika hands it over.
amqp_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=80)
    | st.binary(max_size=80)
    | st.decimals()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
field_names = st.sampled_from((*FIELDS, "meta"))
any_table = st.dictionaries(field_names | st.text(max_size=8), amqp_values, max_size=12)
nearly_right = st.builds(
    lambda changes, gone: {k: v for k, v in table(**changes).items() if k not in gone},
    st.dictionaries(field_names, amqp_values, max_size=2),
    st.sets(field_names, max_size=1),
)
content_types = st.none() | st.text(max_size=40) | st.sampled_from([c.content_type for c in Codec])
app_ids = st.sampled_from([APP_ID, APP_ID, APP_ID, None, "other"])
body_sizes = st.integers(-1, MAX_BODY_BYTES + 1) | st.integers(-(2**63), 2**64)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (b"\xff", "meta is b'\\xff': allowed is JSON text"),
        ({"a": 1}, "meta is {'a': 1}: allowed is JSON text"),
        (None, "meta is None: allowed is JSON text"),
        ("", "meta is '': allowed is a JSON object, each key once"),
        ('{"a":NaN}', "meta is '{\"a\":NaN}': allowed is a JSON object, each key once"),
    ],
)
def test_meta_that_is_no_object_is_refused(meta: object, message: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        read(table(meta=meta))
    assert str(caught.value) == message


def test_meta_is_in_the_table_only_where_there_is_some() -> None:
    assert HEADER._replace(meta='{"a":1}').to_amqp() == table(meta='{"a":1}')
    assert read(table(meta='{"a": 1}')).meta == '{"a": 1}'
    assert read(table(meta="{}")) == HEADER


@given(headers, st.integers(1, MAX_BODY_BYTES))
def test_what_is_written_is_what_is_read(header: FrameHeader, body_size: int) -> None:
    fps = header.to_amqp()["fps"]
    assert isinstance(fps, (int, Decimal))
    assert fits_amqp(Decimal(fps))
    again = read(header.to_amqp(), content_type=header.codec.content_type, body_size=body_size)
    assert again.fps == pytest.approx(header.fps, rel=1e-8, abs=1e-6)
    assert again._replace(fps=header.fps) == header


@given(any_table | nearly_right, content_types, app_ids, body_sizes)
def test_any_table_is_a_valid_header_or_a_wire_format_error(
    headers: dict[str, object], content_type: str | None, app_id: str | None, body_size: int
) -> None:
    try:
        header = read(headers, content_type=content_type, app_id=app_id, body_size=body_size)
    except WireFormatError as refused:
        error = refused
    else:
        written = header.to_amqp()
        assert float(str(written.pop("fps"))) == pytest.approx(header.fps, rel=1e-8, abs=1e-6)
        assert written.items() <= headers.items()
        assert header.codec.content_type == content_type
        assert header.width * header.height <= MAX_PIXELS
        assert 1 <= body_size <= MAX_BODY_BYTES
        return
    text = str(error)
    assert text.startswith(f"{error.field} is ")
    assert error.allowed in text
    assert "\n" not in text
    assert len(text.encode()) < 1000, "a peer must not be able to flood the log"


@EVERY_COPY
def test_frames_are_equal_by_value_in_other_processes_too(copied: Callable[[Any], Any]) -> None:
    frame = EncodedFrame(HEADER, b"body")
    assert copied(frame) == frame != EncodedFrame(frame.header, b"other")
    assert hash(copied(frame)) == hash(frame)
