"""Messages to the producer: keyframe requests, receiver reports, clock exchanges, notices of producers.

Each is a JSON object in an AMQP message whose `type` property names it; `docs/wire.md` has the fields.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Final

from fanlight.common.model import wire_fields
from fanlight.common.model.errors import WireFormatError

VERSION: Final = 1
CONTENT_TYPE: Final = "application/json"
MAX_CONTROL_BYTES: Final = 4096
UNREPORTED_EPOCH_BITS: Final = 32
"""Enough is reported to tell producers apart, and not enough to publish frames in the name of one."""
_MAX_MILLISECONDS: Final = 1e12


class Reason(StrEnum):
    """Why a keyframe is requested."""

    JOIN = "join"
    GAP = "gap"
    DECODE_ERROR = "decode_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeRequest:
    """Like a PLI in RTCP: the sending consumer can present nothing before the next keyframe."""

    TYPE: ClassVar[str] = "keyframe_request"

    stream: str
    name: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """The state of a consumer, once a second. Counters run since it started; times in milliseconds.

    Attributes:
        epoch: upper bits of the epoch of the producer whose frames it receives; 0 before the first frame.
        highest_seq: number of the last frame of that epoch that arrived; -1 before the first one.
        received: frames that arrived.
        lost: frames that were published and never arrived.
        presented: frames passed to the sinks.
        late: frames dropped because they were older than `--max-age`, or too late for their playout.
        age_p50_ms: median age of the presented frames at presentation, last seconds; -1 if none.
        age_p99_ms: likewise, 99th percentile.
        jitter_ms: interarrival jitter (RFC 3550, 6.4.1).
        playout_skew_ms: median distance from the scheduled playout time; 0 without `--playout sync`.
    """

    TYPE: ClassVar[str] = "receiver_report"

    stream: str
    name: str
    epoch: int
    highest_seq: int
    received: int
    lost: int
    presented: int
    late: int
    age_p50_ms: float
    age_p99_ms: float
    jitter_ms: float
    playout_skew_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRequest:
    """A request for the time of the producer's wall clock; see `common.model.clock_offset`.

    Attributes:
        asked_ns: time by any clock of the sender; returned unchanged in the reply.
    """

    TYPE: ClassVar[str] = "clock_request"

    stream: str
    name: str
    asked_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReply:
    """The producer's reply to a `ClockRequest`.

    Attributes:
        name: name of the requesting consumer.
        asked_ns: copied from the request.
        received_ns: Unix time at which the producer received the request.
        replied_ns: Unix time at which the producer sent this reply.
    """

    TYPE: ClassVar[str] = "clock_reply"

    stream: str
    name: str
    asked_ns: int
    received_ns: int
    replied_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerNotice:
    """Tells the other producers of a stream, of which there should be none, that there is this one.

    Attributes:
        name: host and process, for people.
        id: random number of the sender, which hears its own messages too. Not its epoch: whoever hears
            control messages must not be able to publish in its name.
    """

    TYPE: ClassVar[str] = "producer_notice"

    stream: str
    name: str
    id: int


ControlMessage = KeyframeRequest | ReceiverReport | ClockRequest | ClockReply | ProducerNotice
_TYPES: Final[dict[str, type[ControlMessage]]] = {
    message.TYPE: message
    for message in (KeyframeRequest, ReceiverReport, ClockRequest, ClockReply, ProducerNotice)
}


def answer(request: ClockRequest, *, received_ns: int, now_ns: int) -> ClockReply:
    """The reply to a request; both times are Unix time."""
    return ClockReply(
        stream=request.stream,
        name=request.name,
        asked_ns=request.asked_ns,
        received_ns=received_ns,
        replied_ns=now_ns,
    )


def serialize(message: ControlMessage) -> bytes:
    """The JSON body of a message; its AMQP `type` property is `message.TYPE`."""
    return json.dumps({"v": VERSION, **asdict(message)}, separators=(",", ":")).encode()


def parse(message_type: str | None, body: bytes) -> ControlMessage:
    """Validate and parse an untrusted message.

    Raises:
        WireFormatError: unknown type or version, or a field that is missing or out of range.
    """
    message_class = _TYPES.get(message_type or "")
    if message_class is None:
        raise WireFormatError("type", message_type, ", ".join(sorted(_TYPES)))
    content = read_object(body)
    return message_class(**{f.name: _checked(f.name, content) for f in fields(message_class)})


def read_object(body: bytes, most_bytes: int = MAX_CONTROL_BYTES) -> dict[str, Any]:
    """The JSON object of an untrusted message of this version. Raises WireFormatError."""
    if len(body) > most_bytes:
        raise WireFormatError("body size", len(body), f"up to {most_bytes} bytes")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise WireFormatError("body", body, "a JSON object") from None
    if not isinstance(content, dict):
        raise WireFormatError("body", body, "a JSON object")
    if content.get("v") != VERSION or isinstance(content.get("v"), bool):
        raise WireFormatError("v", content.get("v"), str(VERSION))
    return content


def _checked(field: str, content: dict[str, Any]) -> Any:
    if field in ("stream", "name"):
        return wire_fields.name(content, field)
    value: Any = content.get(field)
    if field == "reason":
        if isinstance(value, str) and value in set(Reason):
            return Reason(value)
        raise WireFormatError(field, value, ", ".join(Reason))
    if field.endswith("_ms"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and -_MAX_MILLISECONDS <= value <= _MAX_MILLISECONDS:
            return float(value)
        raise WireFormatError(field, value, "a number of milliseconds")
    return wire_fields.whole(content, field, -1)
