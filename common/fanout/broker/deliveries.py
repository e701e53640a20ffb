"""Takes whole deliveries out of an AMQP 0-9-1 byte stream. Pure: bytes come in, messages go out.

A subscriber gets the same kind of message thirty times a second, and pika makes some 230 calls for each:
with twenty consumers on two cores that was a fifth of the whole load. Only what is exactly such a message
is taken here: `basic.deliver`, header and body on one channel, the properties that `docs/wire.md` names,
plain values in the header table. All else, and all that is wrong, is left to pika.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from struct import Struct, error
from typing import Final, NamedTuple

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


class Delivery(NamedTuple):
    """One message.

    Attributes:
        tag: to acknowledge it with.
        body: as it was published.
        end: where the next AMQP frame begins in the buffer.
        frames: AMQP frames that it came in.
        properties: what is said of the body; None if it is the same as in the remembered delivery, but for:
        seq: the header of that name; only if `properties` is None.
        capture_ns: likewise.
    """

    tag: int
    body: bytes
    end: int
    frames: int
    properties: Properties | None
    seq: int = 0
    capture_ns: int = 0


class Properties(NamedTuple):
    """Of a message; the names are AMQP's."""

    content_type: str | None
    app_id: str | None
    headers: Mapping[str, object] | None
    user_id: str | None


class _Form(NamedTuple):
    """A delivery up to its body, without the five numbers that differ from one to the next.

    Attributes:
        length: of all of it, in bytes.
        pieces: what stands between the numbers.
        tag_at, size_at, seq_at, capture_at, time_at: where those stand.
        seq: how that one is written.
    """

    length: int
    pieces: tuple[bytes, ...]
    tag_at: int
    size_at: int
    seq: Struct
    seq_at: int
    capture_at: int
    time_at: int


class DeliveryReader:
    """Reads deliveries to one consumer. A frame's properties are those of the one before but for three
    numbers, so that they are worked out only when something else has changed; as RTP's headers are
    compressed (RFC 2508).

    Args:
        channel: number of the channel that they have to come in on.
        consumer: tag of the consumer that they have to be for.
    """

    def __init__(self, channel: int, consumer: bytes) -> None:
        self._channel = channel
        self._consumer = bytes((len(consumer),)) + consumer  # as it stands in the method: a short string
        self._form: _Form | None = None
        self._latest: _Form | None = None

    def remember(self) -> None:
        """The latest properties were good: leave them out where they come again."""
        self._form = self._latest

    def take(self, buffer: bytes, offset: int) -> Delivery:
        """Read the delivery that begins at `offset`.

        Raises:
            Incomplete: wait for more bytes.
            NotPlain: no delivery to this consumer, or one that is not of the usual form.
        """
        form = self._form
        if form is not None and _alike(buffer, offset, form):
            return self._take_alike(buffer, offset, form)
        channel = self._channel
        method, size, at = _frame(buffer, offset, channel, _METHOD)
        name_end = method + 4 + len(self._consumer)
        if buffer[method : method + 4] != _DELIVER or buffer[method + 4 : name_end] != self._consumer:
            raise NotPlain
        if name_end + _UINT64.size > method + size:
            raise NotPlain
        try:
            (tag,) = _UINT64.unpack_from(buffer, name_end)
            content, size, body_at = _frame(buffer, at, channel, _HEADER)
            basic, _weight, body_size, flags = _CONTENT.unpack_from(buffer, content)
            if basic != _BASIC or flags != _FLAGS:
                raise NotPlain
            described = content + _CONTENT.size
            body, end, frames = _body(buffer, body_at, channel, body_size)
            properties, places, time_at = _properties(buffer[described : content + size])
        except (IndexError, ValueError, error) as reason:
            raise NotPlain from reason
        self._latest = _form(
            buffer[offset:body_at],
            (name_end - offset, content + 4 - offset, described - offset),
            places,
            time_at,
        )
        return Delivery(tag, body, end, frames, properties)

    def _take_alike(self, buffer: bytes, offset: int, form: _Form) -> Delivery:
        (size,) = _UINT64.unpack_from(buffer, offset + form.size_at)
        body, end, frames = _body(buffer, offset + form.length, self._channel, size)
        (tag,) = _UINT64.unpack_from(buffer, offset + form.tag_at)
        (seq,) = form.seq.unpack_from(buffer, offset + form.seq_at)
        (capture_ns,) = _INT64.unpack_from(buffer, offset + form.capture_at)
        return Delivery(tag, body, end, frames, None, seq, capture_ns)


def _properties(described: bytes) -> tuple[Properties, dict[str, tuple[Struct, int]], int]:
    """(properties, forms and places of their integers, place of the time stamp)."""
    content_type, at = _short_text(described, 0)
    headers, places, at = _table(described, at)
    time_at = at + 1  # behind the delivery mode
    at = time_at + 8
    user_id, at = _short_text(described, at)
    app_id, at = _short_text(described, at)
    if at != len(described):
        raise NotPlain
    return Properties(content_type, app_id, headers, user_id), places, time_at


def _form(
    message: bytes, starts: tuple[int, int, int], places: dict[str, tuple[Struct, int]], time_at: int
) -> _Form | None:
    """`starts`: of the delivery tag, of the body's size and of the properties."""
    tag_at, size_at, described_at = starts
    seq, seq_at = places.get("seq", (_INT64, 0))
    capture, capture_at = places.get("capture_ns", (_INT32, 0))
    if capture is not _INT64 or not 0 < seq_at < capture_at:
        return None
    form = _Form(
        len(message), (), tag_at, size_at, seq,
        described_at + seq_at, described_at + capture_at, described_at + time_at,
    )  # fmt: skip
    return form._replace(pieces=_pieces(message, 0, form))


def _pieces(buffer: bytes, at: int, form: _Form) -> tuple[bytes, ...]:
    return (
        buffer[at : at + form.tag_at],
        buffer[at + form.tag_at + 8 : at + form.size_at],
        buffer[at + form.size_at + 8 : at + form.seq_at],
        buffer[at + form.seq_at + form.seq.size : at + form.capture_at],
        buffer[at + form.capture_at + 8 : at + form.time_at],
        buffer[at + form.time_at + 8 : at + form.length],
    )


def _alike(buffer: bytes, offset: int, form: _Form) -> bool:
    return len(buffer) - offset > form.length and _pieces(buffer, offset, form) == form.pieces


def _body(buffer: bytes, at: int, channel: int, size: int) -> tuple[bytes, int, int]:
    """(body, offset behind it, AMQP frames of the whole message)."""
    parts: list[bytes] = []
    while size > 0:
        start, length, at = _frame(buffer, at, channel, _BODY)
        parts.append(buffer[start : start + length])
        size -= length
    if size:
        raise NotPlain
    return (parts[0] if len(parts) == 1 else b"".join(parts)), at, 2 + len(parts)


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


def _table(buffer: bytes, offset: int) -> tuple[dict[str, object], dict[str, tuple[Struct, int]], int]:
    """A header table of plain values, the forms and places of its integers, and the offset behind it."""
    (size,) = _UINT32.unpack_from(buffer, offset)
    offset += 4
    end = offset + size
    if end > len(buffer):
        raise NotPlain
    table: dict[str, object] = {}
    places: dict[str, tuple[Struct, int]] = {}
    value: object
    while offset < end:
        kind_at = offset + 1 + buffer[offset]
        name = buffer[offset + 1 : kind_at].decode()
        kind = buffer[kind_at]
        offset = kind_at + 1
        if kind in (_TYPE_INT64, _TYPE_INT32):
            form = _INT64 if kind == _TYPE_INT64 else _INT32
            (value,) = form.unpack_from(buffer, offset)
            places[name] = (form, offset)
            offset += form.size
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
    return table, places, end
