"""What a detector found in one frame, and its representation as JSON. Pure.

`docs/wire.md` has the fields of the JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Final, Self, TypeVar

from fanlight.common.model import control, meta, wire_fields
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import MAX_SIDE

MAX_RESULT_BYTES: Final = 64 * 1024
MAX_ITEMS: Final = 1000
"""Boxes, points, polygons or texts of one result; points of all its polygons: ten times as many."""
MAX_COORDINATE: Final = 1_000_000.0
"""In either direction: what is found may reach beyond the picture, but has to fit a drawing library."""
MAX_DATA_DEPTH: Final = meta.MAX_META_DEPTH

T = TypeVar("T")
Box = tuple[float, float, float, float]
Point = tuple[float, float]
Text = tuple[float, float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a detector found in one frame; without any content: it looked, and found nothing.

    Coordinates are pixels of a picture of `width` x `height`, from its top left corner.

    Attributes:
        stream: the name of the stream.
        name: of the detector.
        epoch: as in the header of the frame.
        seq: likewise.
        capture_ns: likewise: Unix time of capture, in nanoseconds.
        width: of the picture that the coordinates are for, in pixels.
        height: likewise.
        boxes: (x1, y1, x2, y2) each: left, top, right, bottom.
        labels: one for each box, or none at all.
        scores: likewise.
        points: (x, y) each.
        polygons: the (x, y) of its corners each.
        texts: (x, y, text) each.
        data: anything else, of JSON types.
        size_bytes: of the message that it came in; 0 if it is not received.
    """

    TYPE: ClassVar[str] = "results"

    stream: str
    name: str
    epoch: int
    seq: int
    capture_ns: int
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    labels: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    points: tuple[Point, ...] = ()
    polygons: tuple[tuple[Point, ...], ...] = ()
    texts: tuple[Text, ...] = ()
    data: dict[str, Any] = field(default_factory=dict, hash=False)
    size_bytes: int = field(default=0, compare=False, repr=False)

    def scaled(self, width: int, height: int) -> Result:
        """The same for a picture of another size.

        Args:
            width: of that picture, in pixels.
            height: likewise.
        """
        if (width, height) == (self.width, self.height):
            return self
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            boxes=tuple((x1 * sx, y1 * sy, x2 * sx, y2 * sy) for x1, y1, x2, y2 in self.boxes),
            points=tuple((x * sx, y * sy) for x, y in self.points),
            polygons=tuple(tuple((x * sx, y * sy) for x, y in each) for each in self.polygons),
            texts=tuple((x * sx, y * sy, text) for x, y, text in self.texts),
        )

    def to_table(self) -> dict[str, Any]:
        """The JSON object; empty fields are left out."""
        values = ((name, getattr(self, name)) for name in _FIELDS)
        return {"v": control.VERSION, **{name: value for name, value in values if value not in ((), {})}}

    def to_json(self) -> bytes:
        """The body of the message.

        Raises:
            WireFormatError: a field is out of range, or all of it too large.
        """
        try:
            text = json.dumps(self.to_table(), ensure_ascii=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            raise WireFormatError("data", self.data, "an object of JSON types") from None
        body = text.encode(errors="surrogatepass")
        self.from_json(body)  # which refuses what is left: the same rules for both sides
        return body

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Validate and parse an untrusted message.

        Args:
            body: of the message: JSON, 64 KiB at most.

        Raises:
            WireFormatError: the first field that is missing or out of range, or an unknown version.
        """
        table = control.read_object(body, MAX_RESULT_BYTES)
        result = cls(
            stream=wire_fields.name(table),
            name=wire_fields.name(table, "name"),
            epoch=wire_fields.whole(table, "epoch"),
            seq=wire_fields.whole(table, "seq"),
            capture_ns=wire_fields.whole(table, "capture_ns"),
            width=wire_fields.whole(table, "width", 1, MAX_SIDE),
            height=wire_fields.whole(table, "height", 1, MAX_SIDE),
            boxes=_list(table, "boxes", _box),
            labels=_list(table, "labels", _text),
            scores=_list(table, "scores", _number),
            points=_list(table, "points", _point),
            polygons=_list(table, "polygons", _polygon),
            texts=_list(table, "texts", _placed_text),
            data=_data(table.get("data", {})),
            size_bytes=len(body),
        )
        for name in ("labels", "scores"):
            count = len(getattr(result, name))
            if count not in (0, len(result.boxes)):
                raise WireFormatError(name, count, f"as many as boxes, {len(result.boxes)}, or none")
        corners = sum(map(len, result.polygons))
        if corners > 10 * MAX_ITEMS:
            raise WireFormatError("polygons", corners, f"up to {10 * MAX_ITEMS} points together")
        return result


_FIELDS: Final = tuple(each.name for each in fields(Result) if each.compare)


def _list(table: dict[str, Any], field: str, item: Callable[[Any], T]) -> tuple[T, ...]:
    value = table.get(field, [])
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise WireFormatError(field, value, f"a list of up to {MAX_ITEMS}")
    try:
        return tuple(map(item, value))
    except (TypeError, ValueError):
        raise WireFormatError(field, value, _RULES[item]) from None


def _number(value: Any) -> float:
    # NaN fails the comparison.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_COORDINATE:
        return float(value)
    raise ValueError


def _box(value: Any) -> Box:
    if not isinstance(value, list):
        raise TypeError
    x1, y1, x2, y2 = map(_number, value)
    return x1, y1, x2, y2


def _point(value: Any) -> Point:
    if not isinstance(value, list):
        raise TypeError
    x, y = map(_number, value)
    return x, y


def _polygon(value: Any) -> tuple[Point, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(_point, value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    return value


def _placed_text(value: Any) -> Text:
    if not isinstance(value, list):
        raise TypeError
    x, y, text = value
    return _number(x), _number(y), _text(text)


_NUMBER: Final = f"numbers from -{MAX_COORDINATE:.0f} to {MAX_COORDINATE:.0f}"
_RULES: Final[dict[Callable[[Any], Any], str]] = {
    _box: f"a list of [x1, y1, x2, y2], {_NUMBER}",
    _text: "a list of texts",
    _number: f"a list of {_NUMBER}",
    _point: f"a list of [x, y], {_NUMBER}",
    _polygon: f"a list of lists of [x, y], {_NUMBER}",
    _placed_text: f"a list of [x, y, text], {_NUMBER}",
}


def _data(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireFormatError("data", value, "an object")
    return meta.plain(value, "data", MAX_DATA_DEPTH, WireFormatError) if value else value
