"""How messages follow one another on a TCP connection. Pure. For other languages: docs/wire.md.

Every message is a prefix of 12 bytes, a JSON object and a body:

    2  "FL"
    1  version of the wire, 1
    1  kind, see `Kind`
    4  bytes of the JSON object, unsigned, big endian
    4  bytes of the body, likewise
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from fanlight.common.model import control, wire_fields
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import (
    APP_ID,
    LARGEST,
    MAX_BODY_BYTES,
    VERSION,
    EncodedFrame,
    FrameHeader,
    Limits,
)
from fanlight.common.model.meta import checked_member, from_text

MAGIC: Final = b"FL"
_PREFIX: Final = struct.Struct(">2sBBII")
PREFIX_BYTES: Final = _PREFIX.size
MAX_HEADER_BYTES: Final = 4096


class MessageKind(IntEnum):
    """What a message is."""

    HELLO = 1
    """The first one of a client: `stream`, `name`, `follow`."""
    WELCOME = 2
    """The answer: frames will come."""
    REFUSAL = 3
    """The other answer: `reason`, and the `field` that is wrong. The connection ends."""
    FRAME = 4
    """The header table of a frame, with `content_type` and `app_id`, and the bare codec bitstream."""
    CONTROL = 5
    """`type`, and the JSON body of a control message; in both directions."""
    FOLLOW = 6
    """Of a client: `follow`, whether frames are wanted from now on."""
    CHALLENGE = 7
    """The answer to a hello with `token` where one is asked for: `nonce`. See the module `token`."""
    ANSWER = 8
    """Of a client, to that: `nonce`, its own, and `proof`. The welcome then has a `proof` too."""
    ANNOUNCEMENT = 9
    """To a client whose hello has `directory`: the body is an announcement's JSON."""
    BYE = 10
    """To a client whose hello has `bye`, after the last frame: the producer ends in good order."""


_HEX: Final = re.compile(r"[0-9a-f]{32,128}")
_KINDS: Final = {int(kind): kind for kind in MessageKind}
_KIND_NAMES: Final = ", ".join(f"{kind:d} ({kind.name.lower()})" for kind in MessageKind)


class Message(NamedTuple):
    """One message; its JSON object is not yet read."""

    kind: MessageKind
    header: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a client: its name, and whether it requests frames.

    Attributes:
        follow: whether it wants frames at once.
        token: whether it knows a token, and can answer a challenge.
        directory: it wants to be told what is published here, whatever `stream` says.
        bye: it wants to be told when the stream ends; clients of earlier versions do not know of that.
    """

    stream: str
    name: str
    follow: bool
    token: bool = False
    directory: bool = False
    bye: bool = False


def message(kind: MessageKind, header: dict[str, object], body: bytes = b"") -> bytes:
    """One message as it travels."""
    # The meta of a frame is limited by its size in UTF-8. Only there is all text known to be valid Unicode.
    escaped = kind is not MessageKind.FRAME
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=escaped).encode()
    return b"".join((_PREFIX.pack(MAGIC, VERSION, kind, len(text), len(body)), text, body))


def frame_message(frame: EncodedFrame) -> bytes:
    """A frame as it travels."""
    header = frame.header
    table = {**header.to_amqp(), "fps": header.fps}
    table |= {"content_type": header.codec.content_type, "app_id": APP_ID}
    if header.meta:
        # As the object that it is: text within text could be twice as long as readers accept.
        table["meta"] = from_text(header.meta)
    return message(MessageKind.FRAME, table, frame.body)


def control_message(what: control.ControlMessage) -> bytes:
    """A control message as it travels."""
    return message(MessageKind.CONTROL, {"type": what.TYPE}, control.serialize(what))


def hello_message(hello: Hello) -> bytes:
    """A hello as it travels."""
    table: dict[str, object] = {"stream": hello.stream, "name": hello.name, "follow": hello.follow}
    for field in ("token", "directory", "bye"):
        if getattr(hello, field):
            table[field] = True
    return message(MessageKind.HELLO, table)


def announcement_message(announcement: Announcement) -> bytes:
    """An announcement as it travels."""
    return message(MessageKind.ANNOUNCEMENT, {}, announcement.to_json())


def bye_message(bye: Bye) -> bytes:
    """The end of a stream as it travels."""
    return message(MessageKind.BYE, bye.to_amqp() | {"app_id": APP_ID})


def refusal_message(reason: str, field: str = "") -> bytes:
    """A refusal as it travels. Args: `field`: what was wrong, if it is one thing."""
    table: dict[str, object] = {"reason": reason}
    return message(MessageKind.REFUSAL, table | {"field": field} if field else table)


def read_frame(received: Message, limits: Limits = LARGEST) -> EncodedFrame:
    """Validate and parse an untrusted frame.

    Raises:
        WireFormatError: the first field that is wrong.
    """
    table = read_object(received)
    meta = ""
    if "meta" in table:
        del table["meta"]
        meta = checked_member(received.header)
    header = FrameHeader.from_amqp(
        table,
        content_type=_text(table, "content_type"),
        app_id=_text(table, "app_id"),
        body_size=len(received.body),
        limits=limits,
    )
    return EncodedFrame(header._replace(meta=meta) if meta else header, received.body)


def read_control(received: Message) -> control.ControlMessage:
    """Likewise a control message. Raises WireFormatError."""
    return control.parse(_text(read_object(received), "type"), received.body)


def read_hello(received: Message) -> Hello:
    """Likewise a hello. Raises WireFormatError."""
    table = read_object(received)
    return Hello(
        wire_fields.name(table),
        wire_fields.name(table, "name"),
        wire_fields.truth(table, "follow", True),
        wire_fields.truth(table, "token", False),
        wire_fields.truth(table, "directory", False),
        wire_fields.truth(table, "bye", False),
    )


def read_bye(received: Message) -> Bye:
    """Likewise the end of a stream. Raises WireFormatError."""
    table = read_object(received)
    return Bye.from_amqp(table, app_id=_text(table, "app_id"))


def read_follow(received: Message) -> bool:
    """Whether frames are wanted. Raises WireFormatError."""
    return wire_fields.truth(read_object(received), "follow", True)


def read_reason(received: Message) -> str:
    """Why the other side refused. Raises WireFormatError."""
    reason = _text(read_object(received), "reason")
    if not reason or not reason.isprintable():
        raise WireFormatError("reason", reason, "printable text")
    return reason


def read_wrong_field(received: Message) -> str | None:
    """What was wrong, in a refusal; None if it does not say. Raises WireFormatError."""
    return _text(read_object(received), "field")


def read_nonce(received: Message) -> str:
    """The number of a challenge. Raises WireFormatError."""
    return _hex(read_object(received), "nonce")


def read_answer(received: Message) -> tuple[str, str]:
    """The number and the proof of an answer. Raises WireFormatError."""
    table = read_object(received)
    return _hex(table, "nonce"), _hex(table, "proof")


def read_proof(received: Message) -> str:
    """The proof of a welcome; empty if there is none. Raises WireFormatError."""
    table = read_object(received)
    return _hex(table, "proof") if "proof" in table else ""


def read_object(received: Message) -> dict[str, Any]:
    """The JSON object of a message. Raises WireFormatError."""
    try:
        table = json.loads(received.header)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise WireFormatError("header", received.header, "a JSON object")
    return table


def _text(table: dict[str, Any], field: str) -> str | None:
    value = table.get(field)
    if value is not None and not isinstance(value, str):
        raise WireFormatError(field, value, "text")
    return value


def _hex(table: dict[str, Any], field: str) -> str:
    value = table.get(field)
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise WireFormatError(field, value, "32 to 128 hex digits, lower case")
    return value


class MessageReader:
    """Cuts what a connection brings into messages. Holds at most one that is not complete.

    Args:
        max_header: bytes of the JSON object that are accepted.
        max_body: bytes of the body that are accepted.
    """

    def __init__(self, max_header: int = MAX_HEADER_BYTES, max_body: int = MAX_BODY_BYTES) -> None:
        self._max_header = max_header
        self._max_body = max_body
        self._pending = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._pending)

    def feed(self, data: memoryview) -> list[Message]:
        """The messages that are complete with these bytes.

        Raises:
            WireFormatError: this is not the wire of version 1, or a message is too large; whatever follows
                cannot be read either.
        """
        if not self._pending:
            messages, used = self._cut(data)
            self._pending += data[used:]
            return messages
        self._pending += data
        with memoryview(self._pending) as whole:
            messages, used = self._cut(whole)
        del self._pending[:used]
        return messages

    def _cut(self, data: memoryview) -> tuple[list[Message], int]:
        messages: list[Message] = []
        at, size = 0, len(data)
        while size - at >= PREFIX_BYTES:
            magic, version, number, header_size, body_size = _PREFIX.unpack_from(data, at)
            kind = self._checked(magic, version, number, header_size, body_size)
            header_end = at + PREFIX_BYTES + header_size
            end = header_end + body_size
            if end > size:
                return messages, at
            messages.append(
                Message(kind, bytes(data[at + PREFIX_BYTES : header_end]), bytes(data[header_end:end]))
            )
            at = end
        begun = bytes(data[at : at + len(MAGIC)])
        if not MAGIC.startswith(begun):
            raise WireFormatError("magic", begun, repr(MAGIC))
        return messages, at

    def _checked(
        self, magic: bytes, version: int, number: int, header_size: int, body_size: int
    ) -> MessageKind:
        if magic != MAGIC:
            raise WireFormatError("magic", magic, repr(MAGIC))
        if version != VERSION:
            raise WireFormatError("version", version, str(VERSION))
        kind = _KINDS.get(number)
        if kind is None:
            raise WireFormatError("kind", number, _KIND_NAMES)
        if header_size > self._max_header:
            raise WireFormatError("header size", header_size, f"up to {self._max_header} bytes")
        if body_size > self._max_body:
            raise WireFormatError("body size", body_size, f"up to {self._max_body} bytes")
        return kind
