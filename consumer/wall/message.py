"""The messages of the WebSocket, protocol version 1: binary headers and JSON objects. Pure.

docs/web.md describes the protocol independently of this code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final, TypeAlias

from fanlight.common.model import wire_fields
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import MAX_SIDE, FrameHeader
from fanlight.common.model.result import Result

VERSION: Final = 1
MAX_TEXT_BYTES: Final = 4096
HEADER: Final = struct.Struct(">BBBxIQQQHHf")
"""version, kind, flags, a zero; id, seq, capture_us, gateway_us, width, height, fps."""

KEY: Final = 1
DISCONTINUITY: Final = 2

_MAX_BYTES: Final = 2**53
_MAX_U64: Final = 2**64 - 1
_MAX_DIMENSION: Final = 2**16 - 1


class Kind(IntEnum):
    """What follows the header of a binary message."""

    H264 = 1
    JPEG = 2
    MP4_INIT = 3
    MP4_FRAGMENT = 4


class Form(StrEnum):
    """The form in which a page wants a stream."""

    FRAMES = "frames"
    MP4 = "mp4"
    JPEG = "jpeg"


def binary(
    kind: Kind, number: int, header: FrameHeader, gateway_ns: int, body: bytes, *, discontinuity: bool
) -> bytes:
    """A binary message.

    Args:
        number: the id of the subscription.
        gateway_ns: the capture time by the gateway's Unix clock.
        discontinuity: the decoder has to be reset before this frame.
    """
    flags = (KEY if header.key else 0) | (DISCONTINUITY if discontinuity else 0)
    head = HEADER.pack(
        VERSION, kind, flags, number, header.seq, header.capture_ns // 1000 & _MAX_U64,
        max(0, gateway_ns) // 1000 & _MAX_U64, min(header.width, _MAX_DIMENSION),
        min(header.height, _MAX_DIMENSION), header.fps,
    )  # fmt: skip
    return head + body


# What a page sends ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    stream: str
    form: Form
    max_size: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    stream: str


@dataclass(frozen=True, slots=True)
class Keyframe:
    stream: str


@dataclass(frozen=True, slots=True)
class Results:
    stream: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Clock:
    sent_ms: float


@dataclass(frozen=True, slots=True)
class Ack:
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a page has done with a stream, for the statistics.

    Attributes:
        age_ms: median age of the pictures when they were drawn; None before the first.
        via: how they were decoded.
    """

    stream: str
    shown: int
    dropped: int
    age_ms: float | None
    via: str


ClientMessage: TypeAlias = Subscribe | Unsubscribe | Keyframe | Results | Clock | Ack | Report


def parse(text: str) -> ClientMessage | None:
    """Validate an untrusted message; None for an unknown type, which later versions may have.

    Raises:
        WireFormatError: it is no JSON object, or a field is missing or out of range.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise WireFormatError("message", text, "a JSON object") from None
    if not isinstance(values, dict):
        raise WireFormatError("message", text, "a JSON object")
    match values.get("type"):
        case "subscribe":
            return Subscribe(wire_fields.name(values), _form(values), _max_size(values))
        case "unsubscribe":
            return Unsubscribe(wire_fields.name(values))
        case "keyframe":
            return Keyframe(wire_fields.name(values))
        case "results":
            return Results(wire_fields.name(values), wire_fields.truth(values, "wanted"))
        case "clock":
            return Clock(_number(values, "sent_ms"))
        case "ack":
            return Ack(int(_number(values, "bytes")))
        case "report":
            age_ms = None if values.get("age_ms") is None else _number(values, "age_ms", least=-_MAX_BYTES)
            counts = int(_number(values, "shown")), int(_number(values, "dropped"))
            return Report(wire_fields.name(values), *counts, age_ms, str(values.get("via"))[:16])
    return None


def _form(values: Mapping[str, Any]) -> Form:
    try:
        return Form(values.get("as", Form.FRAMES))
    except ValueError:
        raise WireFormatError("as", values["as"], ", ".join(Form)) from None


def _max_size(values: Mapping[str, Any]) -> tuple[int, int] | None:
    size = values.get("max")
    if size is None:
        return None
    match size:
        case [int(width), int(height)] if 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE:
            return width, height
    raise WireFormatError("max", size, f"two whole numbers from 1 to {MAX_SIDE}")


def _number(values: Mapping[str, Any], field: str, *, least: float = 0) -> float:
    value = values.get(field)
    # NaN fails the comparison.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= _MAX_BYTES:
        raise WireFormatError(field, value, f"a number from {least} to {_MAX_BYTES}")
    return value


# What the gateway sends -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Description:
    """What a page has to know before the first binary message.

    Attributes:
        number: the id in the binary messages.
        form: the form that is sent: a stream that has no MP4 is sent as frames.
        codec: of the bodies.
        mime: for MediaSource; only with `mp4`.
    """

    stream: str
    form: Form
    number: int
    codec: str
    width: int
    height: int
    fps: float
    epoch: int
    mime: str | None = None

    def text(self) -> str:
        values = {
            "stream": self.stream,
            "as": self.form,
            "id": self.number,
            "codec": self.codec,
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "epoch": str(self.epoch),
        }
        return _text("subscribed", values | ({} if self.mime is None else {"mime": self.mime}))


def hello(*, max_age_ms: int, name: str, only: str | None) -> str:
    """The first message of a connection."""
    values = {"version": VERSION, "max_age_ms": max_age_ms, "name": name}
    return _text("hello", values | ({} if only is None else {"only": only}))


def streams(live: Iterable[Mapping[str, Any]]) -> str:
    """The streams that can be seen."""
    return _text("streams", {"streams": list(live)})


def refused(stream: str, reason: str) -> str:
    """A subscription that is not possible; `reason` is a sentence for the user."""
    return _text("refused", {"stream": stream, "reason": reason})


def state(stream: str, *, live: bool, since_ms: int, reason: str) -> str:
    """Whether frames come; `since_ms` is Unix time."""
    return _text("state", {"stream": stream, "live": live, "since_ms": since_ms, "reason": reason})


def results(stream: str, found: Iterable[Result], *, reason: str = "") -> str:
    """What detectors found; `reason` is a sentence for the user where they find nothing any more."""
    values = {"stream": stream, "results": [_of_page(each) for each in found]}
    return _text("results", values | ({"reason": reason} if reason else {}))


def _of_page(result: Result) -> dict[str, Any]:
    """A result as JavaScript can read it, whose numbers have 53 bits."""
    return result.to_table() | {"epoch": str(result.epoch), "capture_ns": str(result.capture_ns)}


def clock(sent_ms: float, wall_ns: int) -> str:
    """The gateway's time, in reply to `Clock`."""
    return _text("clock", {"sent_ms": sent_ms, "wall_us": wall_ns // 1000})


def _text(kind: str, values: Mapping[str, Any]) -> str:
    return json.dumps({"type": kind, **values}, separators=(",", ":"))
