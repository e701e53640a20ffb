from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.errors import ConfigError, WireFormatError
from fanlight.common.model.meta import (
    MAX_META_BYTES,
    MAX_META_DEPTH,
    checked_member,
    checked_text,
    from_text,
    to_text,
)
from tests.unit.common.json_values import METAS

SENT: dict[str, Any] = {"gps": [48.137, -11.575], "n": 2**63 - 1, "low": -(2**63), "on": True, "of": None}
WRITTEN = '{"gps":[48.137,-11.575],"n":9223372036854775807,"low":-9223372036854775808,"on":true,"of":null}'


class Name(StrEnum):
    LEFT = "left"


class Number(IntEnum):
    ONE = 1


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return dict(value)


def test_an_object_is_written_without_spaces_and_read_as_it_was() -> None:
    assert to_text(SENT) == WRITTEN
    read = from_text(WRITTEN)
    assert read == SENT
    assert {k: type(v) for k, v in read.items()} == {k: type(v) for k, v in SENT.items()}
    assert to_text({"é": "日本 😀"}) == '{"é":"日本 😀"}', "of the size that it has in UTF-8"


def test_nothing_to_say_is_no_text() -> None:
    assert (to_text({}), checked_text("{}"), checked_member(b'{"meta":{}}')) == ("", "", "")
    assert from_text("") == {}


def test_what_python_has_besides_arrives_as_what_json_has() -> None:
    meta: Mapping[str, Any] = MappingProxyType(
        {
            "t": (1, (2.5,)),
            "m": OrderedDict(a=1),
            Name.LEFT: Name.LEFT,
            "i": Number.ONE,
            "f": np.float64(0.5),
        }
    )
    assert to_text(meta) == '{"t":[1,[2.5]],"m":{"a":1},"left":"left","i":1,"f":0.5}'


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ([1], "meta [1] cannot be used: allowed is an object with names as its keys, such as"),
        ("{}", "meta '{}' cannot be used: allowed is an object"),
        ({1: 2}, "a key of meta 1 cannot be used: allowed is text"),
        ({"a": {None: 2}}, "a key of meta['a'] None cannot be used: allowed is text"),
        ({"a": [0, math.nan]}, "meta['a'][1] nan cannot be used: allowed is a finite number"),
        ({"a": -math.inf}, "meta['a'] -inf cannot be used: allowed is a finite number"),
        (
            {"a": 2**63},
            "meta['a'] 9223372036854775808 cannot be used: allowed is a whole number",
        ),
        ({"a": -(2**63) - 1}, "meta['a'] -9223372036854775809 cannot be used"),
        ({"a": 10**5000}, "meta['a'] int that cannot be shown cannot be used"),
        ({"a": "\ud800"}, "meta['a'] '\\ud800' cannot be used: allowed is text that UTF-8 can hold"),
        ({"\udfff": 1}, "a key of meta '\\udfff' cannot be used: allowed is text that UTF-8"),
        ({"a": b"x"}, "meta['a'] b'x' cannot be used: allowed is None, bool, int, float, str, list, dict"),
        ({"a": np.int64(5)}, "meta['a'] "),
        ({"a": np.zeros(2)}, "meta['a'] array([0., 0.]) cannot be used: allowed is"),
        ({"a": {1, 2}}, "meta['a'] {1, 2} cannot be used"),
        ({"a": "x" * 2041}, 'meta \'{"a":"xxx'),
        ({"a": "é" * 1021}, 'meta \'{"a":"ééé'),
    ],
)
def test_what_json_has_not_is_refused_by_its_path(meta: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        to_text(meta)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_size_and_depth_are_limited_on_both_sides() -> None:
    most = to_text({"a": "é" * 1020})
    assert len(most.encode()) == MAX_META_BYTES
    assert checked_text(most) == most
    deepest = to_text(nested(MAX_META_DEPTH))
    assert checked_text(deepest) == deepest
    with pytest.raises(ConfigError, match="allowed is up to 8 levels"):
        to_text(nested(MAX_META_DEPTH + 1))
    endless: dict[str, Any] = {}
    endless["a"] = [endless]
    with pytest.raises(ConfigError, match="allowed is up to 8 levels"):
        to_text(endless)


@pytest.mark.parametrize(
    "text",
    [
        None, 5, b"{}", [], {}, "", "null", "[1]", "5", '"a"', "{", "{}x", "{'a':1}",
        '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":1e999}',
        '{"a":1,"a":1}', '{"a":{"b":1,"b":2}}', '{"a":1,"\\u0061":1}',
        '{"a":9223372036854775808}', '{"a":' + "9" * 2000 + "}", '{"a":-' + "9" * 5000 + "}",
        '{"a":"\\ud800"}', '{"\\udc00":1}', '{"a":"\ud800"}',
        "[" * 2000, '{"a":' * 400, '{"a":' * 300 + "1" + "}" * 300, '{"a":' + "[" * 9 + "]" * 9 + "}",
        '{"a":"' + "x" * 2041 + '"}', '{"a":"' + "é" * 1021 + '"}', " " * 3000 + "{}",
        json.dumps({"a": [1e15] * 200}).replace("1000000000000000.0", "1e15"),
    ],
)  # fmt: skip
def test_a_hostile_text_is_refused_in_one_line(text: Any) -> None:
    with pytest.raises(WireFormatError) as caught:
        checked_text(text)
    assert str(caught.value).startswith(("meta", "a key of meta"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text", ['{"a": [1, -2.5, true, null, "b\\n"]}', '{"1e9":"[{","n":999999999999999999}']
)
def test_a_usual_text_is_kept_as_it_came(text: str) -> None:
    assert checked_text(text) == text
    assert to_text(from_text(text)) == text.replace(": ", ":").replace(", ", ",")


def test_a_text_with_spaces_and_escapes_is_read_as_it_would_be_written() -> None:
    text = ' { "a" : "\\u00e9\\n\\ud83d\\ude00" ,\n "b" : 1e2 , "c" : -0.0 } '
    assert checked_text(text) == '{"a":"é\\n😀","b":100.0,"c":-0.0}'


@pytest.mark.parametrize(
    "table", [b"", b"[]", b"{}", b'{"meta":"{}"}', b'{"meta":null}', b'{"meta":{"a":1,"a":2}}', b"\xff{}"]
)
def test_a_member_that_is_no_object_is_refused(table: bytes) -> None:
    with pytest.raises(WireFormatError, match=r"^meta is "):
        checked_member(table)


@given(METAS)
def test_whatever_is_sent_is_what_arrives(meta: dict[str, Any]) -> None:
    text = to_text(meta)
    assert checked_text(text or "{}") == text
    assert checked_member(b'{"v":1,"meta":%b}' % (text or "{}").encode()) == text
    assert str(from_text(text)) == str(meta), "integers stay integers, and -0.0 keeps its sign"


@given(st.text() | st.text('{}[]":,.0123456789eE+-\\ "aut', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = checked_text(text)
    except WireFormatError:
        return
    assert checked_text(read or "{}") == read
    assert from_text(to_text(from_text(read))) == from_text(read)
    assert read.isprintable() or read == to_text(from_text(read)), "one line of a trace"
