"""The messages of the WebSocket."""

from __future__ import annotations

import json

import pytest

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import Codec
from fanlight.consumer.wall import message
from fanlight.consumer.wall.message import Description, Form, Kind
from tests.support.found import found
from tests.support.headers import header

_CAPTURE_NS = 1_700_000_000_123_456_789


def test_the_binary_header_is_as_documented() -> None:
    head = header(7, Codec.H264, (1280, 720), capture_ns=_CAPTURE_NS, key=True, fps=30.0)
    data = message.binary(Kind.H264, 3, head, _CAPTURE_NS + 5_000_000, b"body", discontinuity=True)
    assert data[:40].hex() == (
        "01"  # version
        "01"  # kind
        "03"  # key and discontinuity
        "00"
        "00000003"  # id
        "0000000000000007"  # seq
        "00060a2418202240"  # capture_us
        "00060a24182035c8"  # gateway_us
        "0500"  # width
        "02d0"  # height
        "41f00000"  # fps
    )
    assert data[40:] == b"body"


def test_times_before_1970_do_not_break_the_header() -> None:
    head = header(0, Codec.JPEG, (8, 8), capture_ns=0)
    data = message.binary(Kind.JPEG, 1, head, -5, b"", discontinuity=False)
    assert message.HEADER.unpack(data)[5:7] == (0, 0)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (
            '{"type":"subscribe","stream":"cam","as":"jpeg","max":[640,360]}',
            message.Subscribe("cam", Form.JPEG, (640, 360)),
        ),
        ('{"type":"subscribe","stream":"cam"}', message.Subscribe("cam", Form.FRAMES, None)),
        ('{"type":"unsubscribe","stream":"cam"}', message.Unsubscribe("cam")),
        ('{"type":"keyframe","stream":"cam"}', message.Keyframe("cam")),
        ('{"type":"results","stream":"cam","wanted":true}', message.Results("cam", True)),
        ('{"type":"clock","sent_ms":12.5}', message.Clock(12.5)),
        ('{"type":"ack","bytes":123456}', message.Ack(123456)),
        (
            '{"type":"report","stream":"cam","shown":9,"dropped":1,"age_ms":31.5,"via":"mse"}',
            message.Report("cam", 9, 1, 31.5, "mse"),
        ),
        (
            '{"type":"report","stream":"cam","shown":0,"dropped":0,"age_ms":null,"via":"mse"}',
            message.Report("cam", 0, 0, None, "mse"),
        ),
        ('{"type":"of a later version"}', None),
        ("{}", None),
    ],
)
def test_messages_of_pages_are_parsed(text: str, parsed: message.ClientMessage | None) -> None:
    assert message.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "no JSON",
        "[" * 100_000,
        '{"type":"subscribe"}',
        '{"type":"subscribe","stream":7}',
        '{"type":"subscribe","stream":"../x"}',
        '{"type":"subscribe","stream":"<img src=x>"}',
        '{"type":"subscribe","stream":"cam","as":"avi"}',
        '{"type":"subscribe","stream":"cam","as":[]}',
        '{"type":"subscribe","stream":"cam","max":[640]}',
        '{"type":"subscribe","stream":"cam","max":[0,360]}',
        '{"type":"subscribe","stream":"cam","max":[640,1e99]}',
        '{"type":"subscribe","stream":"cam","max":"640x360"}',
        '{"type":"results","stream":"cam","wanted":1}',
        '{"type":"clock"}',
        '{"type":"clock","sent_ms":NaN}',
        '{"type":"clock","sent_ms":true}',
        '{"type":"ack","bytes":-1}',
        '{"type":"ack","bytes":1e300}',
        '{"type":"report","stream":"cam","shown":"9","dropped":1}',
    ],
)
def test_malformed_messages_are_refused_in_words(text: str) -> None:
    with pytest.raises(WireFormatError) as refused:
        message.parse(text)
    assert len(str(refused.value)) < 300


def test_messages_of_the_gateway_are_as_documented() -> None:
    described = Description("cam", Form.MP4, 7, "h264", 1280, 720, 30.0, 2**62, 'video/mp4; codecs="avc1"')
    assert json.loads(described.text()) == {
        "type": "subscribed", "stream": "cam", "as": "mp4", "id": 7, "codec": "h264", "width": 1280,
        "height": 720, "fps": 30.0, "epoch": str(2**62), "mime": 'video/mp4; codecs="avc1"',
    }  # fmt: skip
    assert json.loads(message.hello(max_age_ms=500, name="fanlight 1", only=None)) == {
        "type": "hello", "version": 1, "max_age_ms": 500, "name": "fanlight 1",
    }  # fmt: skip
    assert json.loads(message.hello(max_age_ms=500, name="x", only="cam"))["only"] == "cam"
    assert json.loads(message.streams([{"stream": "cam"}])) == {
        "type": "streams", "streams": [{"stream": "cam"}],
    }  # fmt: skip
    assert json.loads(message.refused("x", "why")) == {"type": "refused", "stream": "x", "reason": "why"}
    assert json.loads(message.state("x", live=False, since_ms=5, reason="why")) == {
        "type": "state", "stream": "x", "live": False, "since_ms": 5, "reason": "why",
    }  # fmt: skip
    result = found(5, epoch=2**62, boxes=((1.0, 2.0, 3.0, 4.0),))
    assert json.loads(message.results("cam", [result])) == {
        "type": "results", "stream": "cam", "results": [{
            "v": 1, "stream": "cam", "name": "faces", "epoch": str(2**62), "seq": 5,
            "capture_ns": str(result.capture_ns), "width": 64, "height": 48, "boxes": [[1, 2, 3, 4]],
        }],
    }  # fmt: skip
    assert json.loads(message.results("cam", (), reason="why")) == {
        "type": "results", "stream": "cam", "results": [], "reason": "why",
    }  # fmt: skip
    assert json.loads(message.clock(1.5, 1_700_000_000_000_000_999)) == {
        "type": "clock", "sent_ms": 1.5, "wall_us": 1_700_000_000_000_000,
    }  # fmt: skip
