"""The pixels that a program gets: its own, contiguous, whoever else runs on the host."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from fanlight import Consumer, Frame, Producer
from fanlight.common.model.pixels import PixelFormat, shape
from tests.integration.test_pipeline import EVERY_CODEC, on_air, read
from tests.support.broker import tcp_url
from tests.support.hubs import hub
from tests.support.marked_stream import Marking, is_marked
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage

BATCH = 30


@pytest.mark.parametrize("zero_copy", [False, True])
def test_a_batch_that_is_kept_does_not_change_when_a_hub_starts(
    broker_url: str, stream: str, zero_copy: bool
) -> None:
    """With `zero_copy` frames of the hub change: by this the test is known to be able to fail."""
    with (
        Marking(broker_url, stream),
        Consumer(stream, url=broker_url, zero_copy=zero_copy) as consumer,
        ExitStack() as hubs,
    ):
        kept = read(consumer, BATCH)
        hubs.enter_context(hub(broker_url, stream, "--max-age", "200ms"))
        while not consumer.stats().shared:
            kept += read(consumer, 1)
        # On a busy machine the stream itself may be used in between.
        kept += read(consumer, BATCH, lambda _: consumer.stats().shared)
        read(consumer, BATCH, lambda _: consumer.stats().shared)  # more than the ring has slots
    unchanged = [is_marked(frame) for frame in kept]
    if zero_copy:
        assert [frame.valid for frame in kept if not is_marked(frame)] == [False] * unchanged.count(False)
        assert not all(unchanged)
    else:
        assert all(unchanged)
        assert all(frame.valid and frame.memory is None for frame in kept)
        assert consumer.stats().expired == 0


@EVERY_CODEC
def test_frames_of_every_codec_keep_their_pixels(stream: str, codec: str) -> None:
    url = tcp_url("multiplex")
    with on_air(stream, url, codec), Consumer(stream, url=url, via="broker") as consumer:
        kept, copies = [], []
        for _ in range(BATCH):
            kept += read(consumer, 1)
            copies.append(np.array(kept[-1].image))
        read(consumer, BATCH)
        assert all(map(np.array_equal, (frame.image for frame in kept), copies))


SIZES = [(854, 480), (1366, 768), (101, 77), (1, 1), (64, 48)]


@usage("Frame", "threads", "read-only: any of them")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("codec", ["h264", "jpeg", "png", "raw"])
@pytest.mark.parametrize("picture_format", list(PixelFormat))
def test_pixels_are_contiguous_and_read_only(
    stream: str, size: tuple[int, int], codec: str, picture_format: PixelFormat
) -> None:
    url, (width, height) = tcp_url("multiplex"), size
    with (
        Producer(stream=stream, url=url, codec=codec) as out,
        Consumer(stream, url=url, via="broker", format=picture_format) as consumer,
    ):
        frame: Frame | None = None
        while frame is None:
            out.send(np.zeros((height, width, 3), np.uint8))
            frame = consumer.read(timeout_s=0.05)
        assert frame.image.flags.c_contiguous
        assert not frame.image.flags.writeable
        even = (max(2, width - width % 2), max(2, height - height % 2))
        expected = even if picture_format is PixelFormat.I420 else size
        assert frame.image.shape == shape(picture_format, *expected)
        own = frame.copy().image
        assert own.flags.writeable
        assert own.flags.c_contiguous


@pytest.mark.parametrize("zero_copy", [False, True])
def test_pixels_that_are_scaled_or_come_from_a_hub_are_contiguous(
    broker_url: str, stream: str, zero_copy: bool
) -> None:
    with (
        Marking(broker_url, stream, size=(100, 60)),
        Consumer(stream, url=broker_url, zero_copy=zero_copy) as of_hub,
        Consumer(stream, url=broker_url, zero_copy=zero_copy, size=(37, 21), via="broker") as scaled_down,
        hub(broker_url, stream),
    ):
        wait_until(lambda: read(of_hub, 1) and of_hub.stats().shared, 15, "the hub is used")
        for consumer in (of_hub, scaled_down):
            frame = consumer.read(timeout_s=scaled(10))
            assert frame is not None
            assert frame.image.flags.c_contiguous
            assert not frame.image.flags.writeable
