"""Frames, streams and figures for the tests of sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fanlight.common import codec
from fanlight.common.codec.picture import BGR
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.pixels import Pixels
from fanlight.consumer.frame import Frame, PictureMemory
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sinks import SinkContext
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats
from tests.support import headers

START_NS = 1_700_000_000_000_000_000
FPS = 30.0
STEP_NS = 33_333_333

STATS = replace(
    ConsumerCounters().stats(0),
    connected=True,
    received=310,
    received_bytes=4_000_000,
    presented=300,
    fps=30.0,
    age_p50_s=0.012,
    age_p99_s=0.031,
    jitter_s=0.001,
    epoch=7,
    highest_seq=309,
)


def context(stats: ConsumerStats = STATS) -> SinkContext:
    return SinkContext(ConsumerSettings(name="c1", stream="cam"), lambda: stats)


def header(seq: int = 0, *, size: tuple[int, int] = (64, 48), of: Codec = Codec.H264) -> FrameHeader:
    return headers.header(seq, of, size, epoch=7, capture_ns=START_NS + seq * STEP_NS)


def picture(seq: int = 0, size: tuple[int, int] = (64, 48)) -> BGR:
    """Soft waves that move with `seq`, so that no two frames are alike; red is 8 * seq throughout."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = [127 + 120 * np.sin((x + 3 * seq) / 40), 127 + 120 * np.sin((y + 5 * seq) / 40)]
    return np.stack([*waves, np.full(x.shape, (seq * 8) % 256)], axis=-1).astype(np.uint8)


class Expired:
    """A picture whose memory holds another one by now."""

    valid = False


def presented(image: Pixels, seq: int = 0, memory: PictureMemory | None = None) -> Frame:
    captured = header(seq, size=(image.shape[1], image.shape[0]))
    at_ns = captured.capture_ns + 12_000_000
    return Frame(image, captured, at_ns, at_ns, age_s=0.012, lost=0, memory=memory)


def encoded(
    count: int,
    *,
    of: Codec = Codec.H264,
    size: tuple[int, int] = (64, 48),
    gop_s: float = 0.5,
    pictures: Sequence[BGR] | None = None,
) -> list[EncodedFrame]:
    """`count` frames of one epoch, really encoded, as they come off the wire."""
    encoder = codec.encoder(of, fps=FPS, gop_s=gop_s)
    frames = []
    for seq in range(count):
        image = picture(seq, size) if pictures is None else pictures[seq]
        body = encoder.encode(image, key=False)
        frames.append(EncodedFrame(header(seq, size=size, of=of)._replace(key=body.key), body.body))
    return frames
