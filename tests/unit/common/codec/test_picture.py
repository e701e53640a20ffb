from __future__ import annotations

import itertools
import subprocess
import sys

import av
import numpy as np
import pytest

from fanlight.common.codec.picture import (
    BGR,
    Converter,
    PixelConverter,
    as_array,
    as_bgr,
    convert_bgr,
)
from fanlight.common.model.errors import EncodeError
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, PixelFormat, shape
from tests.support.timing import scaled
from tests.unit.common.codec.build import gradient, noise, psnr, yuv_frame

# A picture whose last pixel is the last byte of memory there is: what lies behind the end of a file that
# was cut short after it was mapped raises SIGBUS.
_AT_THE_END_OF_MEMORY = """
import mmap, sys, tempfile
import numpy as np
from fanlight.common.codec.picture import Converter

width, height, out_width, out_height, pixel_format = *map(int, sys.argv[1:5]), sys.argv[5]
size = width * height * 3
end = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
with tempfile.TemporaryFile() as file:
    file.truncate(2 * end)
    memory = mmap.mmap(file.fileno(), 2 * end)
    file.truncate(end)
    image = np.frombuffer(memory, np.uint8, size, end - size).reshape(height, width, 3)
    image[:] = 90
    frame = Converter().to_frame(image, pixel_format, (out_width, out_height))
    print(frame.width, frame.height, frame.format.name)
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (noise(5, 4)[:, :, 0], np.dstack([noise(5, 4)[:, :, 0]] * 3)),
        (noise(5, 4)[:, :, :1], np.dstack([noise(5, 4)[:, :, 0]] * 3)),
        (np.dstack([noise(5, 4), np.zeros((4, 5), np.uint8)]), noise(5, 4)),
        (noise(10, 8)[::2, ::-2], noise(10, 8)[::2, ::-2]),
    ],
    ids=["grey", "grey with a channel", "alpha", "view"],
)
def test_an_array_becomes_contiguous_bgr(given: BGR, expected: BGR) -> None:
    image = as_bgr(given)
    assert image.flags.c_contiguous
    assert np.array_equal(image, expected)


@pytest.mark.parametrize(
    ("wrong", "dtypes", "allowed"),
    [
        ([(4, 5, 3)], [np.float32, np.uint16, np.int8, np.bool_], "allowed is uint8"),
        (
            [(), (5,), (4, 5, 2), (4, 5, 5), (1, 4, 5, 3), (0, 5, 3), (4, 0)],
            [np.uint8],
            r"allowed is \(height, width",
        ),
    ],
)
def test_another_type_or_shape_is_refused(
    wrong: list[tuple[int, ...]], dtypes: list[type[np.generic]], allowed: str
) -> None:
    for of_shape, dtype in itertools.product(wrong, dtypes):
        with pytest.raises(EncodeError, match=allowed):
            as_bgr(np.zeros(of_shape, dtype))


def test_what_needs_no_conversion_is_not_copied() -> None:
    image, frame = noise(64, 48), av.VideoFrame(64, 48, "yuv420p")
    assert Converter().to_bgr(image) is image
    assert Converter().to_bgr(image, (64, 48)) is image
    assert Converter().to_frame(frame, "yuv420p") is frame
    for picture_format in (FULL_BGR, PictureFormat(size=(64, 48))):
        assert convert_bgr(image, picture_format, Converter()) is image


def test_one_converter_follows_changes_of_size_and_format() -> None:
    converter = Converter()
    for size in ((64, 48), (48, 64), (641, 481)):
        frame = converter.to_frame(gradient(*size), "rgb24")
        assert np.array_equal(converter.to_bgr(frame), gradient(*size))


@pytest.mark.parametrize("pixel_format", PixelFormat)
def test_the_planes_of_a_frame_become_one_array(pixel_format: PixelFormat) -> None:
    """Compared with PyAV's own conversion to an array, which is slower and always copies."""
    libav = {PixelFormat.BGR: "bgr24", PixelFormat.I420: "yuv420p", PixelFormat.GREY: "gray"}[pixel_format]
    # 90 bytes a row: padded in libav's memory.
    frame = Converter().to_frame(noise(90, 46), libav)
    image = as_array(frame, pixel_format)
    assert image.shape == shape(pixel_format, 90, 46)
    assert np.array_equal(image, frame.to_ndarray())


@pytest.mark.parametrize("pixel_format", [PixelFormat.BGR, PixelFormat.GREY])
def test_packed_pixels_are_a_view_that_keeps_their_memory(pixel_format: PixelFormat) -> None:
    libav = "gray" if pixel_format is PixelFormat.GREY else "bgr24"
    frame = Converter().to_frame(noise(65, 47), libav)
    image = as_array(frame, pixel_format)
    assert np.shares_memory(image, np.frombuffer(memoryview(frame.planes[0]), np.uint8))
    before = image.copy()
    del frame
    assert np.array_equal(image, before)


@pytest.mark.parametrize("size", [None, (32, 24), (33, 25), (128, 96)])
@pytest.mark.parametrize("pixel_format", PixelFormat)
def test_arrays_and_frames_convert_alike(pixel_format: PixelFormat, size: tuple[int, int] | None) -> None:
    picture_format = PictureFormat(pixel_format, size)
    image = gradient(64, 48)
    by_image = convert_bgr(image, picture_format, Converter())
    by_frame = PixelConverter().convert(av.VideoFrame.from_ndarray(image, format="bgr24"), picture_format)
    assert by_image.shape == by_frame.shape == shape(pixel_format, *picture_format.sized(64, 48))
    assert psnr(by_image, by_frame) > 35


@pytest.mark.parametrize(
    "colour", [(40, 60, 200), (200, 60, 40), (60, 200, 40), (5, 5, 5), (250, 250, 250)]
)
@pytest.mark.parametrize("bt709", [False, True])
@pytest.mark.parametrize(("full", "named"), [(False, "yuv420p"), (True, "yuvj420p"), (True, "yuv420p")])
def test_grey_and_bgr_follow_the_colour_space_that_a_frame_declares(
    colour: tuple[int, int, int], bt709: bool, full: bool, named: str
) -> None:
    frame = yuv_frame(colour, full=full, bt709=bt709, named=named)
    converter = PixelConverter()
    for image in (converter.convert(frame), Converter().to_bgr(frame)):
        assert np.abs(image[24, 32].astype(int) - colour).max() <= 4
    # Brightness as BT.601 has it, like that of pictures that came as BGR.
    brightness = sum(weight * value for weight, value in zip((0.114, 0.587, 0.299), colour, strict=True))
    grey = converter.convert(frame, PictureFormat(PixelFormat.GREY))
    assert abs(int(grey[24, 32]) - brightness) <= 3


def test_one_pixel_converter_follows_changes_of_size_and_form() -> None:
    converter = PixelConverter()
    picture_formats = [
        FULL_BGR,
        PictureFormat(PixelFormat.GREY),
        FULL_BGR,
        PictureFormat(PixelFormat.I420, (32, 24)),
    ]
    for picture_format in picture_formats:
        for width, height in ((64, 48), (48, 64), (642, 482)):
            frame = Converter().to_frame(gradient(width, height), "yuv420p")
            image = converter.convert(frame, picture_format)
            assert image.shape == shape(picture_format.pixel_format, *picture_format.sized(width, height))


def test_buffers_are_not_reused_while_pixels_refer_to_them() -> None:
    converter = PixelConverter()
    for picture_format in (FULL_BGR, PictureFormat(PixelFormat.GREY), PictureFormat(PixelFormat.I420)):
        held = []
        for level in range(0, 250, 10):
            source = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="bgr24")
            held.append(converter.convert(source, picture_format))
        means = [float(image[:48].mean()) for image in held]
        assert means == sorted(set(means))


@pytest.mark.parametrize("size", [(642, 482), (641, 481), (1, 1)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "rgb24"])
def test_nothing_is_read_past_the_last_pixel_of_an_array(size: tuple[int, int], pixel_format: str) -> None:
    """libswscale's vector code does, and an array has no bytes to spare: it was a crash now and then."""
    numbers = [str(n) for n in (*size, size[0] + size[0] % 2, size[1] + size[1] % 2)]
    run = subprocess.run(
        [sys.executable, "-c", _AT_THE_END_OF_MEMORY, *numbers, pixel_format],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.split() == [numbers[2], numbers[3], pixel_format]
