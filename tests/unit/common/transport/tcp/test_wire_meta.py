"""What a producer says of a frame, over TCP: an object within the header."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.meta import checked_text, to_text
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.wire import MessageKind, MessageReader, message
from tests.unit.common.json_values import METAS
from tests.unit.common.transport.tcp.build import HEADER, read_one

LARGEST_METAS: Final = ['{"a":"' + 510 * '\\"\\\\' + '"}', '{"a":"' + 510 * "😀" + '"}']


@pytest.mark.parametrize("meta", ['{"a":[1,-0.0,1e+300,"é",null]}', *LARGEST_METAS])
def test_a_frame_with_meta_is_read_by_all_that_read_version_1(meta: str) -> None:
    assert checked_text(meta) == meta
    frame = EncodedFrame(HEADER._replace(stream="s" * 64, meta=meta), b"x")
    data = wire.frame_message(frame)
    (message,) = MessageReader(max_header=4096).feed(memoryview(data))
    assert wire.read_frame(message) == frame


@given(METAS)
def test_whatever_a_producer_says_of_a_frame_arrives(meta: dict[str, Any]) -> None:
    frame = EncodedFrame(HEADER._replace(meta=to_text(meta)), b"x")
    assert wire.read_frame(read_one(wire.frame_message(frame))) == frame


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        (None, "meta"),
        ('{"a":1}', "meta"),
        ([1], "meta"),
        ({"a": float("nan")}, "meta"),
        ({"a": 2**63}, "meta['a']"),
        ({"a": "é" * 1021}, "meta"),
    ],
)
def test_a_frame_whose_meta_is_no_such_object_is_refused(meta: object, field: str) -> None:
    whole = read_one(wire.frame_message(EncodedFrame(HEADER, b"x")))
    table = wire.read_object(whole) | {"meta": meta}
    with pytest.raises(WireFormatError) as caught:
        wire.read_frame(read_one(message(MessageKind.FRAME, table, b"x")))
    assert caught.value.field == field
