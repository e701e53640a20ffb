"""`Consumer(decode=False)`: bytes that another decoder takes, in order, never an old one."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest

from fanlight import ConfigError, Consumer, Frame
from fanlight.common.codec import decoder
from fanlight.common.model.frame import Codec, EncodedFrame
from tests.integration.test_pipeline import EVERY_CODEC, read
from tests.support.broker import tcp_url, with_broker_and
from tests.support.hubs import hub
from tests.support.marked_stream import marked
from tests.support.telling_stream import PATIENT_S, Telling, check_metas
from tests.support.timing import wait_until


def check_chain(frames: list[Frame]) -> None:
    """In order, and each with what it refers to, from a keyframe on."""
    assert frames[0].header.key
    for before, frame in pairwise(frames):
        assert frame.seq > before.seq
        assert frame.header.key or frame.seq == before.seq + 1


def read_of_each(consumer: Consumer, names: list[str]) -> list[Frame]:
    """Frames, eight and more of each stream."""
    frames: list[Frame] = []
    while any(sum(frame.stream == name for frame in frames) < 8 for name in names):
        frames += read(consumer, 1)
    return frames


def check_decodes(frames: list[Frame]) -> None:
    """Another decoder takes each of them."""
    decoding = decoder(frames[0].header.codec)
    for frame in frames:
        picture = decoding.decode(EncodedFrame(frame.header, frame.encoded)).pixels()
        expected = marked(frame.capture_ns, 64, 48)
        if frame.header.codec in (Codec.RAW, Codec.PNG):
            assert (picture == expected).all()
        else:
            assert picture.shape == expected.shape


@EVERY_CODEC
@with_broker_and("multiplex")
def test_another_decoder_takes_the_bytes_of_every_codec(url: str, stream: str, codec: str) -> None:
    with (
        Telling(url, stream, codec=codec, max_age_s=PATIENT_S),
        Consumer(stream, url=url, decode=False, max_age_s=PATIENT_S) as consumer,
    ):
        frames = read(consumer, 12)
    check_chain(frames)
    check_decodes(frames)
    check_metas(frames)


@with_broker_and("threads")
def test_a_program_that_is_too_slow_goes_on_with_the_next_keyframe(url: str, stream: str) -> None:
    with (
        Telling(url, stream, codec="h264", gop_s=0.2) as telling,
        Consumer(stream, url=url, decode=False) as consumer,
    ):
        frames = read(consumer, 3)
        for _ in range(3):
            stats = consumer.stats()
            wait_until(
                lambda stats=stats: consumer.stats().received >= stats.received + 15,  # type: ignore[misc]
                30,
                "fifteen frames that nobody takes, two keyframes among them",
            )
            frames += read(consumer, 3)
        stats = consumer.stats()
        assert telling.producer.failure is None
    check_chain(frames)
    check_decodes(frames)
    check_metas(frames)
    assert stats.skipped > 0
    assert stats.undecodable == 0
    assert all(frame.age_s <= 0.5 for frame in frames)


@with_broker_and("threads")
def test_of_several_streams_each_has_a_chain_of_its_own(url: str, stream: str) -> None:
    """Over the broker; without one there is one stream."""
    names = [stream, f"{stream}-other"] if url.startswith("amqp") else [stream]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(Telling(url, name, codec="h264", gop_s=0.2))
        consumer = stack.enter_context(Consumer(streams=names, url=url, decode=False))
        frames = read_of_each(consumer, names)
        received = {name: consumer.stats(name).received for name in names}
        wait_until(
            lambda: all(consumer.stats(name).received >= received[name] + 15 for name in names),
            30,
            "fifteen frames of each that nobody takes",
        )
        frames += read_of_each(consumer, names)
    for name in names:
        own = [frame for frame in frames if frame.stream == name]
        check_chain(own)
        check_decodes(own)


def test_a_member_of_a_pool_gets_bytes_that_stand_alone(broker_url: str, stream: str) -> None:
    with (
        Telling(broker_url, stream, codec="h264"),
        Consumer(stream, url=broker_url, pool="p", decode=False) as consumer,
    ):
        frames = read(consumer, 3)
    assert all(frame.header.codec.intra_only for frame in frames)
    check_decodes(frames)
    check_metas(frames)


def test_a_hub_is_left_alone_since_it_has_pixels_only(broker_url: str, stream: str) -> None:
    with (
        Telling(broker_url, stream, codec="jpeg"),
        hub(broker_url, stream),
        Consumer(stream, url=broker_url) as shown,
    ):
        wait_until(lambda: read(shown, 1) and shown.stats().shared, 15, "the hub serves")
        with Consumer(stream, url=broker_url, decode=False) as consumer:
            frames = read(consumer, 3)
            assert not consumer.stats().shared
    check_decodes(frames)


WRONG: list[tuple[str, Any]] = [
    ("via", "host"),
    ("share", True),
    ("zero_copy", True),
    ("playout", "sync"),
    ("format", "grey"),
    ("size", (64, 48)),
]


@pytest.mark.brokerless
@pytest.mark.parametrize(("argument", "value"), WRONG)
def test_what_is_about_pixels_is_refused_without_them(argument: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Consumer(url=tcp_url("threads"), decode=False, **{argument: value})
    assert caught.value.name == argument
    assert str(caught.value).endswith("decode=False gives the stream's frames as they came: omit one")
