from __future__ import annotations

import subprocess
import sys

import av
import numpy as np
import pytest

from common.codec.picture import Converter, as_bgr, plane_view, size_of
from common.errors import EncodeError
from tests.support.timing import scaled
from tests.unit.common.codec.build import gradient, noise, psnr, yuv_frame

# A picture whose last pixel is the last byte of memory there is: what lies behind the end of a file that
# was cut short after it was mapped raises SIGBUS.
_AT_THE_END_OF_MEMORY = """
import mmap, sys, tempfile
import numpy as np
from common.codec.picture import Converter

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


def test_bgr_is_taken_as_it_is() -> None:
    assert np.array_equal(as_bgr(noise(5, 4)), noise(5, 4))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_grey_becomes_three_equal_channels(shape: tuple[int, ...]) -> None:
    grey = noise(5, 4)[:, :, 0]
    image = as_bgr(grey.reshape(shape))
    assert image.shape == (4, 5, 3)
    assert all(np.array_equal(image[:, :, channel], grey) for channel in range(3))


def test_alpha_is_left_out() -> None:
    image = as_bgr(np.dstack([noise(5, 4), np.zeros((4, 5), np.uint8)]))
    assert np.array_equal(image, noise(5, 4))
    assert image.flags.c_contiguous


def test_a_view_is_made_contiguous() -> None:
    image = as_bgr(noise(10, 8)[::2, ::-2])
    assert image.flags.c_contiguous
    assert np.array_equal(image, noise(10, 8)[::2, ::-2])


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int8, np.bool_])
def test_another_type_is_refused(dtype: type[np.generic]) -> None:
    with pytest.raises(EncodeError, match="allowed is uint8"):
        as_bgr(np.zeros((4, 5, 3), dtype))


@pytest.mark.parametrize("shape", [(), (5,), (4, 5, 2), (4, 5, 5), (1, 4, 5, 3), (0, 5, 3), (4, 0)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncodeError, match=r"allowed is \(height, width"):
        as_bgr(np.zeros(shape, np.uint8))


def test_both_forms_have_a_size() -> None:
    assert size_of(noise(5, 4)) == (5, 4)
    assert size_of(av.VideoFrame(6, 4, "yuv420p")) == (6, 4)


def test_what_needs_no_conversion_is_not_copied() -> None:
    image, frame = noise(64, 48), av.VideoFrame(64, 48, "yuv420p")
    assert Converter().to_bgr(image) is image
    assert Converter().to_bgr(image, (64, 48)) is image
    assert Converter().to_frame(frame, "yuv420p") is frame


def test_pictures_are_scaled() -> None:
    converter = Converter()
    image = converter.to_bgr(gradient(640, 480), (320, 241))
    assert image.shape == (241, 320, 3)
    assert psnr(image, gradient(320, 241)) > 35
    frame = converter.to_frame(gradient(640, 480), "yuv420p", (320, 240))
    assert (frame.width, frame.height, frame.format.name) == (320, 240, "yuv420p")


def test_one_converter_follows_changes_of_size_and_form() -> None:
    converter = Converter()
    for size in ((64, 48), (48, 64), (641, 481)):
        frame = converter.to_frame(gradient(*size), "rgb24")
        assert np.array_equal(converter.to_bgr(frame), gradient(*size))


def test_padded_rows_are_cropped() -> None:
    frame = av.VideoFrame.from_ndarray(noise(641, 5), format="bgr24")
    assert np.array_equal(plane_view(frame, 641, 5), noise(641, 5))
    assert np.array_equal(plane_view(frame, 600, 4), noise(641, 5)[:4, :600])


@pytest.mark.parametrize("colour", [(40, 60, 200), (200, 60, 40), (60, 200, 40), (250, 250, 250)])
@pytest.mark.parametrize("bt709", [False, True])
@pytest.mark.parametrize(("full", "named"), [(False, "yuv420p"), (True, "yuvj420p"), (True, "yuv420p")])
def test_frames_keep_their_colours(
    colour: tuple[int, int, int], bt709: bool, full: bool, named: str
) -> None:
    image = Converter().to_bgr(yuv_frame(colour, full=full, bt709=bt709, named=named))
    assert np.abs(image[24, 32].astype(int) - colour).max() <= 4


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
