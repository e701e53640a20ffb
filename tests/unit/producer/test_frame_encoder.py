from __future__ import annotations

from typing import Any

import av
import av.filter
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


def test_pictures_are_scaled() -> None:
    encoder = new(size=(32, 20), codec=Codec.RAW)
    for picture in (PICTURE, av.VideoFrame(64, 48, "yuv420p")):
        frame = encode(encoder, picture)
        assert (frame.header.width, frame.header.height, len(frame.body)) == (32, 20, 1920)


@pytest.mark.parametrize(
    "pixel_format", ["pal8", "monow", "rgb8", "gray", "gray16le", "rgb48le", "yuva420p"]
)
@pytest.mark.parametrize("codec", [Codec.H264, Codec.PNG])
@pytest.mark.parametrize("size", [(33, 21), None])
def test_pictures_of_any_format_are_encoded(
    pixel_format: str, codec: Codec, size: tuple[int, int] | None
) -> None:
    frame = encode(new(size=size, codec=codec), av.VideoFrame(64, 48, pixel_format))
    assert (frame.header.width, frame.header.height) == (size or (64, 48))


@pytest.mark.parametrize(
    ("large", "sent"),
    [((16, 20_000), (13, 16_384)), ((20_000, 16), (16_384, 13)), ((8_192, 8_192), (5_760, 5_760))],
)
def test_pictures_larger_than_receivers_accept_are_scaled(
    large: tuple[int, int], sent: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    encoder = new()
    for _ in range(2):
        header = encode(encoder, av.VideoFrame(*large, "gray")).header
        assert (header.width, header.height) == sent
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("colour_range", ["tv", "pc"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p10le", "nv12"])
@pytest.mark.parametrize("size", [None, (32, 24)])
def test_colours_survive_scaling(
    matrix: str, colour_range: str, pixel_format: str, size: tuple[int, int] | None
) -> None:
    colour = (30, 120, 220)
    graph = av.filter.Graph()
    filters = [
        graph.add("buffer", "video_size=64x48:pix_fmt=bgr24:time_base=1/25"),
        graph.add("scale", f"out_color_matrix={matrix}:out_range={colour_range}"),
        graph.add("format", f"pix_fmts={pixel_format}"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*filters).configure()
    filters[0].push(av.VideoFrame.from_ndarray(np.full((48, 64, 3), colour, np.uint8), format="bgr24"))
    frame = encode(new(size=size, quality=10), filters[-1].pull())
    shown = decoder(Codec.H264).decode(frame).pixels()
    assert np.abs(shown.mean((0, 1)) - colour).max() < 6
