"""Real messages of every kind, as they were on the wire when that version was made, byte for byte.

A change that fails here breaks clients in every language: it needs a new version, and these stay.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from pika import BasicProperties
from pika.frame import Body, Header, Method, decode_frame

from fanlight.common.codec import decoder
from fanlight.common.model import control
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import DecodeError, WireFormatError
from fanlight.common.model.frame import LARGEST, PROBE_CONTENT_TYPE, VERSION, Codec, FrameHeader
from fanlight.common.model.pixels import PixelFormat
from fanlight.common.model.result import Result
from fanlight.common.shm.layout import SegmentHeader
from fanlight.common.transport.amqp import topology
from fanlight.common.transport.amqp.topology import frame_header
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.wire import Message, MessageKind, MessageReader
from scripts.fuzzing.target import GOLDEN
from tests.unit.common.codec.build import gradient, psnr

EPOCH = 0x1122334455667788
META = '{"gps":[48.137,-11.575],"note":"é","id":9007199254740993}'
CONTROLS = {kind.TYPE: kind for kind in get_args(control.ControlMessage)}


def golden(name: str, version: int = VERSION) -> bytes:
    return (GOLDEN / f"v{version}" / name).read_bytes()


def message(name: str) -> Message:
    (found,) = MessageReader().feed(memoryview(golden(name)))
    return found


def expected(codec: Codec) -> FrameHeader:
    seq = list(Codec).index(codec)
    return FrameHeader(
        stream="cam", codec=codec, epoch=EPOCH, seq=seq, capture_ns=1_700_000_000_123_456_789 + seq,
        width=32, height=24, key=True, fps=29.97,
    )  # fmt: skip


def test_every_version_has_its_folder_and_nothing_in_it_is_forgotten() -> None:
    assert sorted(folder.name for folder in GOLDEN.iterdir()) == [f"v{VERSION}"]
    names = {f"frame-{what}.{end}" for what in (*Codec, "meta") for end in ("tcp", "amqp")}
    names |= {f"{kind}.{end}" for kind in CONTROLS for end in ("tcp", "json")}
    names |= {f"segment-{form}.bin" for form in PixelFormat}
    names |= {"hello.tcp", "welcome.tcp", "refusal.tcp", "follow.tcp"}
    names |= {"hello-directory.tcp", "announcement.tcp", "announcement.json", "results.json"}
    names |= {"hello-bye.tcp", "bye.tcp", "bye.amqp"}
    assert {file.name for file in (GOLDEN / "v1").iterdir()} == names


@pytest.mark.parametrize("codec", Codec)
def test_a_frame_is_read_from_tcp_and_written_as_the_same_bytes(codec: Codec) -> None:
    frame = wire.read_frame(message(f"frame-{codec}.tcp"))
    assert frame.header == expected(codec)
    assert wire.frame_message(frame) == golden(f"frame-{codec}.tcp")


def test_a_frame_with_meta_is_read_from_both_and_written_to_tcp_as_the_same_bytes() -> None:
    header = expected(Codec.JPEG)._replace(meta=META)
    frame = wire.read_frame(message("frame-meta.tcp"))
    assert frame.header == header
    assert wire.frame_message(frame) == golden("frame-meta.tcp")
    properties, body = amqp(golden("frame-meta.amqp"))
    assert properties.headers == header.to_amqp()
    assert frame_header(properties, len(body), stream="cam", trust=frozenset(), limits=LARGEST) == header
    assert body == frame.body


def amqp(data: bytes) -> tuple[BasicProperties, bytes]:
    """Properties and body of the one delivery that these bytes are."""
    frames = []
    while data:
        used, frame = decode_frame(data)
        frames.append(frame)
        data = data[used:]
    (method, header, *body) = frames
    assert isinstance(method, Method)
    assert isinstance(header, Header)
    return header.properties, b"".join(part.fragment for part in body if isinstance(part, Body))


@pytest.mark.parametrize("codec", Codec)
def test_a_frame_is_read_from_amqp(codec: Codec) -> None:
    properties, body = amqp(golden(f"frame-{codec}.amqp"))
    header = frame_header(properties, len(body), stream="cam", trust=frozenset(), limits=LARGEST)
    assert header == expected(codec)
    assert properties.headers == header.to_amqp()
    assert body == message(f"frame-{codec}.tcp").body


@pytest.mark.parametrize("codec", Codec)
def test_the_decoders_of_today_decode_the_golden_bodies(codec: Codec) -> None:
    frame = wire.read_frame(message(f"frame-{codec}.tcp"))
    image = decoder(codec).decode(frame).pixels()
    if codec in (Codec.RAW, Codec.PNG):
        assert np.array_equal(image, gradient(32, 24))
    else:
        assert psnr(image, gradient(32, 24)) > 28


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.PNG, Codec.H264])
def test_a_body_cut_or_changed_at_any_byte_is_decoded_or_refused(codec: Codec) -> None:
    frame = wire.read_frame(message(f"frame-{codec}.tcp"))
    whole, decoding = frame.body, decoder(codec)
    cut = [whole[:end] for end in range(1, len(whole))]
    changed = [whole[:at] + bytes((whole[at] ^ 1 << at % 8,)) + whole[at + 1 :] for at in range(len(whole))]
    for body in cut + changed:
        decoding.reset()
        try:
            image = decoding.decode(type(frame)(frame.header, body)).pixels()
        except DecodeError:
            continue
        assert image.shape == (24, 32, 3)


@pytest.mark.parametrize("kind", CONTROLS)
def test_control_messages_are_read_and_written_as_the_same_bytes(kind: str) -> None:
    read = control.parse(kind, golden(f"{kind}.json"))
    assert type(read) is CONTROLS[kind]
    assert control.serialize(read) == golden(f"{kind}.json")
    assert wire.read_control(message(f"{kind}.tcp")) == read
    assert wire.control_message(read) == golden(f"{kind}.tcp")


def test_handshake_messages_are_read_and_written_as_the_same_bytes() -> None:
    hello = wire.read_hello(message("hello.tcp"))
    assert (hello, wire.hello_message(hello)) == (wire.Hello("cam", "desk", True), golden("hello.tcp"))
    assert wire.message(MessageKind.WELCOME, {}) == golden("welcome.tcp")
    assert wire.read_reason(message("refusal.tcp")) == "64 clients are here already"
    assert wire.read_follow(message("follow.tcp")) is False


def test_an_announcement_is_read_and_written_as_the_same_bytes() -> None:
    read = Announcement.from_json(golden("announcement.json"))
    assert read == Announcement(
        stream="cam", codec=Codec.H264, width=1280, height=720, fps=29.97, epoch=EPOCH,
        since_ns=1_700_000_000_123_456_789, watched=True,
    )  # fmt: skip
    assert read.to_json() == golden("announcement.json")
    assert message("announcement.tcp").body == golden("announcement.json")
    assert wire.announcement_message(read) == golden("announcement.tcp")
    hello = wire.read_hello(message("hello-directory.tcp"))
    assert hello == wire.Hello("streams", "desk", follow=False, directory=True)
    assert wire.hello_message(hello) == golden("hello-directory.tcp")


def test_a_result_is_read_and_written_as_the_same_bytes() -> None:
    read = Result.from_json(golden("results.json"))
    assert read == Result(
        stream="cam", name="faces", epoch=EPOCH, seq=123456, capture_ns=1_700_000_000_123_456_789,
        width=1280, height=720, boxes=((100.25, 50.0, 180.5, 140.0),), labels=("Zoë",), scores=(0.87,),
        points=((640.0, 360.0),), polygons=(((0.0, 0.0), (10.0, 0.0), (0.0, 10.0)),),
        texts=((5.0, 20.0, "exit"),), data={"speed_kmh": 31.5},
    )  # fmt: skip
    assert read.to_json() == golden("results.json")


def test_the_end_of_a_stream_is_read_and_written_as_the_same_bytes() -> None:
    bye = Bye("cam", EPOCH, 41)
    properties, body = amqp(golden("bye.amqp"))
    assert topology.read_bye(properties, stream="cam", trust=frozenset({"producer"})) == bye
    assert (properties, body) == (topology.bye_properties(bye, "producer"), b"")
    assert properties.content_type == PROBE_CONTENT_TYPE, "no frame, for those that do not know it"
    assert (wire.read_bye(message("bye.tcp")), wire.bye_message(bye)) == (bye, golden("bye.tcp"))
    hello = wire.read_hello(message("hello-bye.tcp"))
    assert hello == wire.Hello("cam", "desk", follow=True, bye=True)
    assert wire.hello_message(hello) == golden("hello-bye.tcp")


@pytest.mark.parametrize("form", PixelFormat)
def test_a_segment_is_read_written_as_the_same_bytes_and_refused_when_cut(form: PixelFormat) -> None:
    page = golden(f"segment-{form}.bin")
    header = SegmentHeader(format=form, width=32, height=24, slots=20, epoch=EPOCH, grace_ns=500_000_000)
    assert SegmentHeader.parse(page, header.memory_bytes) == header
    assert header.serialize() == page
    for end in range(len(page)):
        with pytest.raises(WireFormatError):
            SegmentHeader.parse(page[:end], header.memory_bytes)
