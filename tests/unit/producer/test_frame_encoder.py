from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from fanlight.common.codec import decoder
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.producer.frame_encoder import FrameEncoder
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source.base import Captured

PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


def new(**settings: Any) -> FrameEncoder:
    return FrameEncoder(ProducerSettings(**settings), 77, lambda: 30.0, KeyframeGovernor())


def encode(encoder: FrameEncoder, picture: Any = PICTURE, capture_ns: int = 5) -> EncodedFrame:
    return encoder.encode(Captured(picture, capture_ns, captured_ns=0), now_ns=0)


@pytest.mark.parametrize("codec", Codec)
def test_headers_carry_what_a_receiver_needs(codec: Codec) -> None:
    encoder, receiving = new(codec=codec, stream="gate"), decoder(codec)
    frames = [encode(encoder, capture_ns=capture_ns) for capture_ns in (30, 20, 10)]
    headers = [frame.header for frame in frames]
    assert [(header.seq, header.capture_ns) for header in headers] == [(0, 30), (1, 20), (2, 10)]
    assert {(h.stream, h.codec, h.epoch, h.width, h.height, h.fps) for h in headers} == {
        ("gate", codec, 77, 64, 48, 30.0)
    }
    assert [h.key for h in headers] == [True, codec.intra_only, codec.intra_only]
    assert all(receiving.decode(frame).pixels().shape == (48, 64, 3) for frame in frames)


def test_a_source_that_is_slower_than_it_says_has_its_keyframes_in_time() -> None:
    encoder = new(gop_s=1.0)
    keys = [
        encoder.encode(Captured(PICTURE, 5), int(at_s * 1e9)).header.key for at_s in (0, 1.9, 4, 8, 8.1)
    ]
    assert keys == [True, False, True, True, False]


def test_pictures_are_scaled() -> None:
    encoder = new(size=(32, 20), codec=Codec.RAW)
    for picture in (PICTURE, av.VideoFrame(64, 48, "yuv420p")):
        frame = encode(encoder, picture)
        assert (frame.header.width, frame.header.height, len(frame.body)) == (32, 20, 1920)
