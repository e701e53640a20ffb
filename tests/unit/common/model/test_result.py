from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.result import MAX_COORDINATE, MAX_ITEMS, MAX_RESULT_BYTES, Result

EMPTY: Final = Result(
    stream="cam", name="faces", epoch=2**63 - 1, seq=7, capture_ns=1_700_000_000, width=640, height=480
)
FULL: Final = replace(
    EMPTY,
    boxes=((1.0, 2.5, 30.0, 40.0), (-5.0, 0.0, 700.0, 480.0)),
    labels=("Ann", "Zoë"),
    scores=(0.5, 1.0),
    points=((1.0, 2.0),),
    polygons=(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), ()),
    texts=((3.0, 4.0, "exit"),),
    data={"speed": 1.5, "path": [1, None, {"a": True}]},
)

numbers = st.floats(-MAX_COORDINATE, MAX_COORDINATE)
texts = st.text(max_size=20)
points = st.tuples(numbers, numbers)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@st.composite
def results(draw: st.DrawFn) -> Result:
    boxes = tuple(draw(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=4)))
    count = len(boxes)
    return replace(
        EMPTY,
        width=draw(st.integers(1, 16384)),
        height=draw(st.integers(1, 16384)),
        boxes=boxes,
        labels=tuple(draw(st.lists(texts, min_size=count, max_size=count) | st.just([]))),
        scores=tuple(draw(st.lists(numbers, min_size=count, max_size=count) | st.just([]))),
        points=tuple(draw(st.lists(points, max_size=4))),
        polygons=tuple(map(tuple, draw(st.lists(st.lists(points, max_size=4), max_size=3)))),
        texts=tuple(draw(st.lists(st.tuples(numbers, numbers, texts), max_size=3))),
        data=draw(st.dictionaries(texts, json_values, max_size=2)),
    )


@given(results())
def test_it_is_read_as_it_was_written(result: Result) -> None:
    read = Result.from_json(result.to_json())
    assert read == result
    assert read.size_bytes == len(result.to_json())


@given(results())
def test_it_survives_pickle_and_hash(result: Result) -> None:
    copy = pickle.loads(pickle.dumps(result))  # noqa: S301 - our own
    assert copy == result
    assert hash(copy) == hash(result)


@given(results(), st.integers(1, 16384), st.integers(1, 16384))
def test_scaling_keeps_each_place_in_the_picture(result: Result, width: int, height: int) -> None:
    scaled = result.scaled(width, height)
    assert (scaled.width, scaled.height) == (width, height)
    for (x, y), (sx, sy) in zip(result.points, scaled.points, strict=True):
        assert sx / width == pytest.approx(x / result.width)
        assert sy / height == pytest.approx(y / result.height)
    for box, to in zip(result.boxes, scaled.boxes, strict=True):
        assert to[::2] == pytest.approx([x * width / result.width for x in box[::2]])
        assert to[1::2] == pytest.approx([y * height / result.height for y in box[1::2]])
    assert [len(each) for each in scaled.polygons] == [len(each) for each in result.polygons]
    assert [each[2] for each in scaled.texts] == [each[2] for each in result.texts]
    assert (scaled.labels, scaled.scores, scaled.data) == (result.labels, result.scores, result.data)


def test_nothing_found_is_a_short_message() -> None:
    assert set(json.loads(EMPTY.to_json())) == {
        "v", "stream", "name", "epoch", "seq", "capture_ns", "width", "height",
    }  # fmt: skip


def changed(**fields: object) -> bytes:
    table: dict[str, Any] = json.loads(FULL.to_json()) | fields
    return json.dumps({name: value for name, value in table.items() if value is not ...}).encode()


def test_fields_of_later_versions_are_ignored() -> None:
    assert Result.from_json(changed(masks=[1])) == FULL


WHOLE: Final = ("epoch", "seq", "capture_ns", "width", "height")
LISTS: Final = ("boxes", "labels", "scores", "points", "polygons", "texts")
NO_LISTS: Final[tuple[object, ...]] = ({}, 5, "ab", None, [{}], [None], [[1, 2, 3]], [[[]]])
DEEP: Final = json.loads('{"a":' * 9 + "1" + "}" * 9)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *[({name: ...}, name) for name in ("v", "stream", "name", *WHOLE)],
        *[({name: value}, name) for name in WHOLE for value in (-1, 1.5, True, "1", None, 2**63)],
        ({"v": 2}, "v"),
        *[({name: one}, name) for name in ("stream", "name") for one in ("", "a b", "a" * 65, 5, None)],
        ({"width": 0}, "width"),
        ({"height": 16385}, "height"),
        *[({name: one}, name) for name in LISTS for one in NO_LISTS],
        ({"boxes": [[1, 2, 3, True]]}, "boxes"),
        ({"boxes": [[1, 2, 3, 1e7]]}, "boxes"),
        ({"boxes": [[1, 2, 3, float("nan")]]}, "boxes"),
        ({"boxes": [[1, 2, 3, float("inf")]]}, "boxes"),
        ({"points": [[1, 10**400]]}, "points"),
        ({"labels": ["one"]}, "labels"),
        ({"labels": ["one", 2]}, "labels"),
        ({"labels": ["one", "\ud800"]}, "labels"),
        ({"scores": [1, 2, 3]}, "scores"),
        ({"boxes": []}, "labels"),
        ({"texts": [[1, 2, 3]]}, "texts"),
        ({"points": [[1, 2]] * (MAX_ITEMS + 1)}, "points"),
        ({"polygons": [[[0, 0]] * 1000] * 10 + [[[0, 0]]]}, "body size"),
        ({"data": []}, "data"),
        ({"data": {"a": float("nan")}}, "data['a']"),
        ({"data": DEEP}, "data" + "['a']" * 8),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_refused_by_name(fields: dict[str, object], field: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        Result.from_json(changed(**fields))
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_a_short_polygon_of_many_points_is_refused() -> None:
    body = EMPTY.to_json()[:-1] + b',"polygons":[' + b",".join([b"[" + b"[0,0]," * 999 + b"[0,0]]"] * 10)
    with pytest.raises(WireFormatError, match="polygons is 10001: allowed is up to 10000 points"):
        Result.from_json(body + b",[[0,0]]]}")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 60_000, b" " * (MAX_RESULT_BYTES + 1)])
def test_what_is_no_small_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(WireFormatError):
        Result.from_json(body)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    with pytest.raises(WireFormatError):
        Result.from_json(body)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"data": {"a": object()}}, "data"),
        ({"data": {"a": float("inf")}}, "data['a']"),
        ({"labels": ("\ud800", "b")}, "labels"),
        ({"scores": (1.0,)}, "scores"),
        ({"data": {"a": "x" * MAX_RESULT_BYTES}}, "body size"),
        ({"name": "two words"}, "name"),
    ],
)
def test_nothing_is_written_that_could_not_be_read(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        replace(FULL, **fields).to_json()
    assert caught.value.field == field
