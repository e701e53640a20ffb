"""Takes whole deliveries out of an AMQP 0-9-1 byte stream. Pure.

A subscriber gets the same kind of message thirty times a second, and pika makes some 230 calls for each:
with twenty consumers on two cores that was a fifth of the whole load. Only what is exactly such a message
is taken here: `basic.deliver`, header and body on one channel, the properties that `docs/wire.md` names,
plain values in the header table. All else, and all that is wrong, is left to pika.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from struct import Struct, error
from typing import Final

_FRAME_START: Final = Struct(">BHI")  # type, channel, payload size; AMQP 0-9-1, section 4.2.3
_FRAME_EXTRA: Final = _FRAME_START.size + 1
_END: Final = 0xCE
_METHOD, _HEADER, _BODY = 1, 2, 3
_DELIVER: Final = b"\x00\x3c\x00\x3c"  # class basic, method deliver
# class basic, weight, body size, property flags
_CONTENT: Final = Struct(">HHQH")
_BASIC: Final = 60
_INT32, _INT64, _UINT32, _UINT64 = Struct(">i"), Struct(">q"), Struct(">I"), Struct(">Q")
# content-type, headers, delivery-mode, timestamp, user-id, app-id: what our publishers set.
_FLAGS: Final = 1 << 15 | 1 << 13 | 1 << 12 | 1 << 6 | 1 << 4 | 1 << 3
_TYPE_INT32, _TYPE_INT64, _TYPE_BOOL, _TYPE_TEXT, _TYPE_DECIMAL = b"IltSD"


class Incomplete(Exception):
    """The delivery that begins here has not arrived whole."""


class NotPlain(Exception):
    """What begins here is something else: pika's business."""


@dataclass(slots=True)
class Delivery:
    """One message.

    Attributes:
        tag: to acknowledge it with.
        end: where the next AMQP frame begins in the buffer.
        frames: AMQP frames it came in.
    """

    tag: int
    content_type: str
    app_id: str
    headers: dict[str, object]
    body: bytes
    end: int
    frames: int


def take(buffer: bytes, offset: int, channel: int, consumer: bytes) -> Delivery:
    """Read the delivery that begins at `offset`.

    Args:
        channel: number of the channel that it has to come in on.
        consumer: tag of the consumer that it has to be for.

    Raises:
        Incomplete: wait for more bytes.
        NotPlain: no delivery to this consumer, or one that is not of the usual form.
    """
    method, _, at = _frame(buffer, offset, channel, _METHOD)
    name_end = method + 5 + len(consumer)
    if buffer[method : method + 4] != _DELIVER or buffer[method + 5 : name_end] != consumer:
        raise NotPlain
    try:
        (tag,) = _UINT64.unpack_from(buffer, name_end)
        content, size, at = _frame(buffer, at, channel, _HEADER)
        basic, _weight, body_size, flags = _CONTENT.unpack_from(buffer, content)
        if basic != _BASIC or flags != _FLAGS:
            raise NotPlain
        content_type, place = _short_text(buffer, content + _CONTENT.size)
        headers, place = _table(buffer, place)
        place += 1 + 8  # delivery mode, timestamp
        place += 1 + buffer[place]  # user id: RabbitMQ has checked it
        app_id, place = _short_text(buffer, place)
        if place != content + size:
            raise NotPlain
    except (IndexError, ValueError, error) as reason:
        raise NotPlain from reason
    parts: list[bytes] = []
    while body_size > 0:
        start, size, at = _frame(buffer, at, channel, _BODY)
        parts.append(buffer[start : start + size])
        body_size -= size
    if body_size:
        raise NotPlain
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return Delivery(tag, content_type, app_id, headers, body, at, 2 + len(parts))


def _frame(buffer: bytes, offset: int, channel: int, kind: int) -> tuple[int, int, int]:
    """(start of the payload, its size, offset behind the frame)."""
    start = offset + _FRAME_START.size
    if len(buffer) < start:
        raise Incomplete
    found, number, size = _FRAME_START.unpack_from(buffer, offset)
    if found != kind or number != channel or not size:
        raise NotPlain
    end = offset + size + _FRAME_EXTRA
    if len(buffer) < end:
        raise Incomplete
    if buffer[end - 1] != _END:
        raise NotPlain
    return start, size, end


def _short_text(buffer: bytes, offset: int) -> tuple[str, int]:
    end = offset + 1 + buffer[offset]
    return buffer[offset + 1 : end].decode(), end


def _table(buffer: bytes, offset: int) -> tuple[dict[str, object], int]:
    """A header table of plain values."""
    (size,) = _UINT32.unpack_from(buffer, offset)
    offset += 4
    end = offset + size
    if end > len(buffer):
        raise NotPlain
    table: dict[str, object] = {}
    value: object
    while offset < end:
        kind_at = offset + 1 + buffer[offset]
        name = buffer[offset + 1 : kind_at].decode()
        kind = buffer[kind_at]
        offset = kind_at + 1
        if kind == _TYPE_INT64:
            (value,) = _INT64.unpack_from(buffer, offset)
            offset += 8
        elif kind == _TYPE_INT32:
            (value,) = _INT32.unpack_from(buffer, offset)
            offset += 4
        elif kind == _TYPE_BOOL:
            value = buffer[offset] != 0
            offset += 1
        elif kind == _TYPE_TEXT:
            (length,) = _UINT32.unpack_from(buffer, offset)
            offset += 4 + length
            value = buffer[offset - length : offset].decode()
        elif kind == _TYPE_DECIMAL:
            (unscaled,) = _INT32.unpack_from(buffer, offset + 1)
            value = Decimal(unscaled).scaleb(-buffer[offset])
            offset += 5
        else:
            raise NotPlain
        table[name] = value
    if offset != end:
        raise NotPlain
    return table, end
