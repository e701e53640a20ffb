"""Limits of pixels and bytes, on every way that frames come."""

from __future__ import annotations

import pytest

from fanlight.common.model.errors import ConfigError, WireFormatError
from fanlight.common.model.frame import (
    APP_ID,
    MAX_BODY_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    EncodedFrame,
    FrameHeader,
    Limits,
)
from fanlight.common.transport.tcp import wire
from fanlight.common.transport.tcp.wire import MessageReader
from fanlight.consumer.settings import ConsumerSettings
from fanlight.producer.settings import ProducerSettings
from tests.support.headers import header

HEADER = header()
TIGHT = Limits(64 * 48, 100)


def read(header: FrameHeader, size: int, limits: Limits) -> FrameHeader:
    said = header.codec.content_type
    return FrameHeader.from_amqp(
        header.to_amqp(), content_type=said, app_id=APP_ID, body_size=size, limits=limits
    )


def test_up_to_the_limits_a_frame_is_accepted() -> None:
    assert read(HEADER, 100, TIGHT) == HEADER


def test_beyond_them_it_is_refused_with_the_limit() -> None:
    with pytest.raises(WireFormatError, match="'65x48': allowed is up to 3072 pixels"):
        read(HEADER._replace(width=65), 100, TIGHT)
    with pytest.raises(WireFormatError, match="body size is 101: allowed is 1 to 100 bytes"):
        read(HEADER, 101, TIGHT)


def test_over_tcp_a_body_is_refused_before_it_comes_and_a_picture_by_its_header() -> None:
    data = wire.frame_message(EncodedFrame(HEADER, b"x" * 101))
    with pytest.raises(WireFormatError, match="body size is 101: allowed is up to 100 bytes"):
        MessageReader(max_body=TIGHT.max_body_bytes).feed(memoryview(data)[: wire.PREFIX_BYTES])
    (message,) = MessageReader().feed(memoryview(data))
    with pytest.raises(WireFormatError, match="up to 10 pixels"):
        wire.read_frame(message, Limits(10))


def test_the_settings_check_them() -> None:
    assert ConsumerSettings(max_pixels=100, max_body_bytes=7).limits == Limits(100, 7)
    assert ConsumerSettings().limits == Limits(MAX_PIXELS, MAX_BODY_BYTES)
    for settings in (ConsumerSettings, ProducerSettings):
        with pytest.raises(ConfigError, match="--max-pixels"):
            settings(max_pixels=MAX_SIDE**2 + 1)
    # A producer may read larger pictures than it sends; its consumers may share its environment.
    assert ConsumerSettings(max_pixels=MAX_SIDE**2).limits == Limits(MAX_PIXELS, MAX_BODY_BYTES)
    with pytest.raises(ConfigError, match="--max-body"):
        ConsumerSettings(max_body_bytes=0)
