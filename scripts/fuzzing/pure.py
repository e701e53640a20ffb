"""The parsers, each with what has to hold of whatever it reads."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from pika import data as pika_data

from fanlight.common.model import control, units
from fanlight.common.model.address import parse_url
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import ConfigError, WireFormatError
from fanlight.common.model.frame import APP_ID, MAX_BODY_BYTES, MAX_PIXELS, Codec, FrameHeader
from fanlight.common.model.meta import checked_member, checked_text, from_text, to_text
from fanlight.common.model.pixels import PIXEL_FORMAT
from fanlight.common.model.redact import without_secrets
from fanlight.common.model.result import Result
from fanlight.common.runtime.options import Option, options_of, resolve
from fanlight.common.shm.layout import SegmentHeader
from fanlight.common.shm.names import is_ours
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.handshake import Handshake
from fanlight.common.transport.tcp.wire import Message, MessageKind, MessageReader
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sink_spec import SINK
from fanlight.consumer.wall.message import parse as parse_wall
from fanlight.producer.settings import ProducerSettings
from scripts.fuzzing.target import Broken, Target, golden
from scripts.lib.headers import header

_HEADER_WORDS: Final = tuple(
    f'"{name}":'.encode() for name in ("v", "stream", "epoch", "seq", "key", "fps")
)
_CONTENT_TYPES: Final = tuple(codec.content_type for codec in Codec)


def _sane(header: FrameHeader, body_size: int) -> None:
    if header.width * header.height > MAX_PIXELS or not 1 <= body_size <= MAX_BODY_BYTES:
        raise Broken(header)
    if not (0 < header.fps <= 1000 and header.seq >= 0 and header.epoch >= 0 and header.capture_ns >= 0):
        raise Broken(header)


# AMQP ------------------------------------------------------------------------------------------------


def _amqp_table(data: bytes) -> None:
    # The length stands in front on the wire, where the broker has checked it.
    table: Any
    try:
        table, _end = pika_data.decode_table(struct.pack(">I", len(data)) + data, 0)
    except Exception:  # noqa: BLE001 - pika's own, of any kind: it costs the connection
        return
    try:
        Bye.from_amqp(table, app_id=APP_ID)
    except WireFormatError as error:
        _one_line(error)
    for content_type in _CONTENT_TYPES[:2]:
        try:
            read = FrameHeader.from_amqp(table, content_type=content_type, app_id=APP_ID, body_size=99)
        except WireFormatError as error:
            _one_line(error)
            continue
        _sane(read, 99)


def _tables() -> list[bytes]:
    about = header(2, Codec.H264, (32, 24), capture_ns=3, fps=29.97, meta=_META[0].decode())
    others = {"a": [1, None, {"b": Decimal("1.5")}], "c": b"\xff", "d": "x"}
    seeds = [_encoded(table) for table in (about.to_amqp(), Bye("cam", 2, 41).to_amqp(), others)]
    return [*seeds, b"\x01xT" + struct.pack(">Q", 2**63)]


def _encoded(table: dict[str, Any]) -> bytes:
    """Without its length."""
    pieces: list[bytes] = []
    pika_data.encode_table(pieces, table)
    return b"".join(pieces)[4:]


# TCP -------------------------------------------------------------------------------------------------

_READERS: Final[dict[MessageKind, Callable[[Message], object]]] = {
    MessageKind.HELLO: wire.read_hello,
    MessageKind.REFUSAL: wire.read_reason,
    MessageKind.FRAME: wire.read_frame,
    MessageKind.CONTROL: wire.read_control,
    MessageKind.FOLLOW: wire.read_follow,
    MessageKind.WELCOME: wire.read_object,
    MessageKind.CHALLENGE: wire.read_nonce,
    MessageKind.ANSWER: wire.read_answer,
    MessageKind.ANNOUNCEMENT: lambda message: Announcement.from_json(message.body),
    MessageKind.BYE: wire.read_bye,
}


def _tcp_stream(data: bytes) -> None:
    whole = _messages([data])
    if whole != _messages([data[: len(data) // 2], data[len(data) // 2 :]]):
        raise Broken("where it is cut makes a difference")
    for message in whole or ():
        try:
            read = _READERS[message.kind](message)
        except WireFormatError as error:
            _one_line(error)
            continue
        if message.kind is MessageKind.FRAME:
            _sane(read.header, len(message.body))  # type: ignore[attr-defined]


def _messages(parts: Iterable[bytes]) -> list[Message] | None:
    reader, messages = MessageReader(), []
    try:
        for part in parts:
            messages += reader.feed(memoryview(part))
    except WireFormatError as error:
        _one_line(error)
        return None
    return messages


def _tcp_handshake(data: bytes) -> None:
    handshake = Handshake("cam", 0)
    for now_ns, start in enumerate(range(0, len(data), 50)):
        try:
            messages = handshake.receive(memoryview(data)[start : start + 50], now_ns)
        except WireFormatError as error:
            _one_line(error)
            return
        if messages and handshake.name is None:
            raise Broken("messages before its hello")
    handshake.overdue(2**40)


# Control messages ------------------------------------------------------------------------------------

_TYPES: Final = ("keyframe_request", "receiver_report", "clock_request", "clock_reply", "producer_notice")


def _control(data: bytes) -> None:
    kind = _TYPES[data[0] & 3] if data else None
    try:
        message = control.parse(kind, data[1:])
    except WireFormatError as error:
        _one_line(error)
        return
    if control.parse(message.TYPE, control.serialize(message)) != message:
        raise Broken(message)


def _announcement(data: bytes) -> None:
    try:
        announcement = Announcement.from_json(data)
    except WireFormatError as error:
        _one_line(error)
        return
    if Announcement.from_json(announcement.to_json()) != announcement:
        raise Broken(announcement)


def _result(data: bytes) -> None:
    try:
        result = Result.from_json(data)
    except WireFormatError as error:
        _one_line(error)
        return
    if Result.from_json(result.to_json()) != result:
        raise Broken(result)
    result.scaled(1, 1)


def _wall(data: bytes) -> None:
    try:
        parse_wall(data.decode(errors="replace"))
    except WireFormatError as error:
        _one_line(error)


def _meta(data: bytes) -> None:
    for read in (partial(checked_text, data.decode(errors="replace")), partial(checked_member, data)):
        try:
            text = read()
        except WireFormatError as error:
            _one_line(error)
            continue
        # What one consumer was given, it may send on.
        if from_text(to_text(from_text(text))) != from_text(text) or checked_text(text or "{}") != text:
            raise Broken(text)


# Shared memory ---------------------------------------------------------------------------------------


def _segment(data: bytes) -> None:
    for memory_bytes in (4096 * 21, len(data), int.from_bytes(data[-8:], "little")):
        try:
            read = SegmentHeader.parse(data, memory_bytes)
        except WireFormatError as error:
            _one_line(error)
            continue
        if read.memory_bytes != memory_bytes or not data.startswith(read.serialize()[:28]):
            raise Broken(read)


def _ring_file(data: bytes) -> None:
    name = data.decode("utf-8", "surrogateescape")
    if is_ours(name) and (Path(name).name != name or not name.isascii()):
        raise Broken(name)


# What people write -----------------------------------------------------------------------------------


def _url(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    without_secrets(text)
    try:
        address = parse_url(text)
    except ConfigError as error:
        _one_line(error)
        return
    str(address)


_READ: Final[tuple[Callable[[str], object], ...]] = tuple(
    notation.read
    for notation in (
        units.DURATION,
        units.SIZE,
        units.RATE,
        units.COUNT,
        units.SWITCH,
        units.NAME,
        SINK,
        PIXEL_FORMAT,
    )
)


def _values(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for read in _READ:
        try:
            read(text)
        except ValueError as error:
            _one_line(error)


def _settings() -> Callable[[bytes], None]:
    sides: tuple[tuple[tuple[Option, ...], Any], ...] = tuple(
        (options_of(settings), settings) for settings in (ConsumerSettings, ProducerSettings)
    )

    def run(data: bytes) -> None:
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        for options, settings in sides:
            flags = {key: value for key, _, value in (line.partition("=") for line in lines) if value}
            environment = {f"FANLIGHT_{key.upper()}": value for key, value in flags.items()}
            for given, variables in (({}, environment), (_flags(options, flags), {})):
                try:
                    settings(**resolve(options, given, variables))
                except ConfigError as error:
                    _one_line(error)

    return run


def _flags(options: tuple[Option, ...], given: dict[str, str]) -> dict[str, Any]:
    return {
        option.field: [given[option.field]] if option.repeated else given[option.field]
        for option in options
        if option.field in given
    }


def _one_line(error: Exception) -> None:
    if "\n" in str(error) or len(str(error)) > 4096:
        raise Broken(f"not one clear line: {str(error)[:80]!r}") from error


def _control_seeds() -> list[bytes]:
    return [bytes((at,)) + golden(f"{kind}.json")[0] for at, kind in enumerate(_TYPES)]


def _wire_seeds() -> list[bytes]:
    single = golden("*.tcp")
    nested = b'{"a":' * 300
    return [
        *single,
        b"".join(single),
        struct.pack(">2sBBII", b"FL", 1, 4, len(nested), 0) + nested,
    ]


def _handshake_seeds() -> list[bytes]:
    hello = golden("hello.tcp")[0]
    asked = [golden(f"{kind}.tcp")[0] for kind in _TYPES]
    return [hello + b"".join(asked) + golden("follow.tcp")[0], hello, golden("frame-raw.tcp")[0][:600]]


_JSON: Final = (b"{", b"}", b"[", b"null", b"true", b"1e999", b"NaN", b"\\ud800", *_HEADER_WORDS)
_WALL: Final = (
    b'{"type":"subscribe","stream":"cam","as":"jpeg","max":[640,360]}',
    b'{"type":"report","stream":"cam","shown":9,"dropped":1,"age_ms":31.5,"via":"mse"}',
    b'{"type":"clock","sent_ms":1234.5}',
    b'{"type":"ack","bytes":123456}',
)
_META: Final = (
    b'{"gps":[48.1,-11.5],"n":9007199254740993,"on":true,"of":null}',
    b'{"meta":{"a":"\\u00e9\\ud83d\\ude00","b":[[{}]]}}',
    b'{"a":' * 9 + b"1" + b"}" * 9,
)
PURE: Final = (
    Target(
        "amqp_table",
        lambda: _amqp_table,
        _tables,
        (b"\x01v", b"\x06stream", b"\x03fps", b"D", b"S", b"T", b"l"),
    ),
    Target("tcp_stream", lambda: _tcp_stream, _wire_seeds, (b"FL\x01", *_JSON), 4096),
    Target("tcp_handshake", lambda: _tcp_handshake, _handshake_seeds, (b"FL\x01", *_JSON), 2048),
    Target("control", lambda: _control, _control_seeds, _JSON),
    Target("announcement", lambda: _announcement, lambda: golden("announcement.json"), _JSON),
    Target("result", lambda: _result, lambda: golden("results.json"), _JSON, 4096),
    Target("meta", lambda: _meta, lambda: list(_META), (*_JSON, b"-0.0", b'{"meta":', b'"a":1,"a":'), 4096),
    Target("wall", lambda: _wall, lambda: list(_WALL), _JSON, 4096),
    Target(
        "ring_file",
        lambda: _ring_file,
        lambda: [b"cam.bgr-64x48.0123abcd.lock", b"c.i420.0123abcd.89abcdef"],
        (b"/",),
    ),
    Target("segment", lambda: _segment, lambda: golden("segment-*.bin"), (b"FANLIGHT",), 128),
    Target(
        "url",
        lambda: _url,
        lambda: [
            b"amqp://user:secret@localhost:5672,[::1]:5673/vhost",
            b"amqps://u%40x@host/%2f?heartbeat=5",
            b"tcp+threads://0.0.0.0:5000",
            b"rtsp://u:p@host/path?token=secret",
        ],
        (b"amqp://", b"amqps://", b"tcp+multiplex://", b"@", b":", b"%2F", b"[::1]"),
        256,
    ),
    Target(
        "values",
        lambda: _values,
        lambda: [
            b"500ms",
            b"1.5m",
            b"1280x720",
            b"29.97",
            b"true",
            b"cam-1",
            b"record:a.mp4",
            b"trace:t.csv",
        ],
        (b"ms", b"record:", b"snapshot:", b"x"),
        128,
    ),
    Target(
        "settings",
        _settings,
        lambda: [
            b"stream=cam\nname=desk\nplayout=sync\ndelay_s=100ms\nmax_age_s=1s\nsinks=null",
            b"codec=h264\nfps=30\nsize=64x48\nquality=23\nurl=tcp+threads://:5000\npayload_frames=3",
            b"format=i420\nshare_size=64x48\nsinks=share\nvia=broker\nframes=10",
        ],
        (b"url=", b"size=", b"codec=", b"fps=", b"format=", b"via=", b"amqp://", b"\n"),
        512,
    ),
)
