from __future__ import annotations

from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from fanlight.common.codec.picture import BGR, Converter
from fanlight.producer.settings import Deinterlace
from fanlight.producer.source.display import DisplayFilter, square, turn
from tests.unit.common.codec.build import gradient

IMAGE = gradient(64, 48)


def frame(image: BGR = IMAGE, pixel_format: str = "yuv444p") -> av.VideoFrame:
    made = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pixel_format)
    made.pts, made.time_base = 7, Fraction(1, 25)
    return made


def shown(display: DisplayFilter, *frames: av.VideoFrame) -> list[BGR]:
    pictures = [picture for each in frames for picture in display.show(each)]
    return [Converter().to_bgr(picture).astype(int) for picture in [*pictures, *display.flush()]]


@pytest.mark.parametrize("deinterlace", [Deinterlace.AUTO, Deinterlace.OFF])
def test_a_normal_picture_is_returned_itself(deinterlace: Deinterlace) -> None:
    display = DisplayFilter("clip", deinterlace=deinterlace, size=(16, 12))
    display.aspect = Fraction(1)
    original = frame()
    assert list(display.show(original)) == [original]
    assert list(display.flush()) == []


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), IMAGE),
        ((-1, 0, 0, 1), IMAGE[:, ::-1]),
        ((1, 0, 0, -1), IMAGE[::-1]),
        ((-1, 0, 0, -1), IMAGE[::-1, ::-1]),
        ((0, 1, -1, 0), np.rot90(IMAGE, -1)),
        ((0, -1, 1, 0), np.rot90(IMAGE)),
        ((0, 1, 1, 0), IMAGE.swapaxes(0, 1)),
        ((0, -1, -1, 0), np.rot90(IMAGE, 2).swapaxes(0, 1)),
        ((0.9, 0.3, -0.3, 0.9), IMAGE),
    ],
)
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv422p", "gbrp", "bgr24"])
def test_a_display_matrix_turns_and_flips(
    matrix: tuple[float, float, float, float], expected: BGR, pixel_format: str
) -> None:
    original = frame(pixel_format=pixel_format)
    (picture,) = DisplayFilter("clip").show(original, turn(*matrix))
    assert (picture.pts, picture.time_base) == (7, Fraction(1, 25))
    image = Converter().to_bgr(picture)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((7680, 4320), Fraction(2), (7680, 2160)),
        ((7680, 4320), Fraction(1, 2), (3840, 4320)),
        ((2, 2), Fraction(1, 100_000), (2, 2)),
        ((12_000, 8), Fraction(2), (12_000, 4)),
    ],
)
def test_pixels_become_square(size: tuple[int, int], aspect: Fraction, expected: tuple[int, int]) -> None:
    assert square(*size, aspect) == expected


def test_an_anamorphic_picture_is_scaled_before_it_is_turned() -> None:
    display = DisplayFilter("clip")
    display.aspect = Fraction(2)
    (picture,) = display.show(frame(), turn(0, 1, -1, 0))
    assert (picture.width, picture.height) == (48, 128)


def combed(number: int) -> av.VideoFrame:
    """A bright square that moves, shown at two places in the two fields."""
    image = np.zeros((96, 128, 3), np.uint8)
    for field in (0, 1):
        left = 16 + 8 * number + 4 * field
        image[32 + field : 64 : 2, left : left + 24] = 255
    graph = av.filter.Graph()
    source = graph.add("buffer", "video_size=128x96:pix_fmt=bgr24:time_base=1/25")
    scale, pixel_format = graph.add("scale"), graph.add("format", "pix_fmts=yuv420p")
    fields, sink = graph.add("setfield", "tff"), graph.add("buffersink")
    graph.link_nodes(source, scale, pixel_format, fields, sink).configure()
    made = av.VideoFrame.from_ndarray(image, format="bgr24")
    made.pts = number
    source.push(made)
    interlaced = sink.pull()
    assert isinstance(interlaced, av.VideoFrame)
    assert interlaced.interlaced_frame
    return interlaced


@pytest.mark.parametrize(
    ("deinterlace", "comb"), [(Deinterlace.AUTO, False), (Deinterlace.ON, False), (Deinterlace.OFF, True)]
)
def test_interlaced_video_is_deinterlaced(
    deinterlace: Deinterlace, comb: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    display = DisplayFilter("clip", deinterlace=deinterlace)
    images = shown(display, *(combed(number) for number in range(6)))
    assert len(images) == 6
    for image in images[1:-1]:
        lines = image[40:56, :, 1]
        assert bool(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).max() > 200) is comb
    assert len(caplog.messages) == (deinterlace is Deinterlace.AUTO)


def test_after_the_end_interlaced_video_starts_over() -> None:
    display = DisplayFilter("clip", deinterlace=Deinterlace.AUTO)
    for _ in range(2):
        times = [
            picture.pts * picture.time_base
            for number in range(4)
            for picture in display.show(combed(number))
            if picture.pts is not None and picture.time_base is not None
        ]
        assert times == [Fraction(number, 25) for number in range(3)]
        assert len(list(display.flush())) == 1


@pytest.mark.parametrize(
    ("transfer", "name", "white"), [(ColorTrc.SMPTE2084, "PQ", 572), (ColorTrc.ARIB_STD_B67, "HLG", 721)]
)
@pytest.mark.parametrize("labelled", [True, False])
def test_diffuse_white_of_hdr_is_white_in_sdr(
    transfer: ColorTrc, name: str, white: int, labelled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    original = av.VideoFrame(64, 48, "yuv420p10le")
    for plane, value in zip(original.planes, (white, 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    original.color_trc = transfer
    original.color_primaries = ColorPrimaries.BT2020 if labelled else ColorPrimaries.UNSPECIFIED
    original.colorspace = Colorspace.BT2020 if labelled else 2
    display = DisplayFilter("clip", size=(32, 24))
    for _ in range(2):
        (image,) = shown(display, original)
        assert image.shape == (24, 32, 3)
        assert image.min() > 235
    assert caplog.messages == [
        f"clip: it is HDR ({name}), and converted to SDR: what is brighter than white is clipped"
    ]


@pytest.mark.parametrize("matrix", [3, 8, 10, 11, 12, 13, 14, 15])
def test_an_unknown_matrix_is_said_and_shown_like_a_known_one(
    matrix: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    original = frame()
    original.colorspace = matrix
    (image,) = shown(DisplayFilter("clip"), original)
    assert np.abs(image - IMAGE).mean() < 4
    assert f"its colour matrix (number {matrix}) is unknown here" in caplog.text
