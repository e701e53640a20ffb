from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fanlight.common.model.errors import FanlightError, FrameExpired
from fanlight.common.model.frame import Codec
from fanlight.consumer.frame import Frame, PictureMemory, UndecodedFrame
from tests.support.copies import EVERY_COPY
from tests.support.headers import header
from tests.unit.common.shm.build import EPOCH, described, noise

EXPIRED = (
    "frame 42 was held for longer than its hub keeps pictures: copy it at once, or give the hub a longer "
    "--max-age"
)


class Slot:
    """What a picture lies in."""

    def __init__(self) -> None:
        self.valid = True


def frame(memory: PictureMemory | None = None) -> Frame:
    of = header(42, Codec.H264, (16, 8), epoch=EPOCH, capture_ns=1_000_000)
    image = noise(described())
    image.flags.writeable = False
    return Frame(image, of, 2_000_000, 3_000_000, 0.002, 1, memory)


def test_frames_are_equal_if_headers_and_pixels_are() -> None:
    one, other = frame(), frame()._replace(received_ns=1, lost=7)
    assert one == other
    assert hash(one) == hash(other)
    assert {one, other} == {one}
    assert one != one._replace(image=~one.image)
    assert one != one._replace(image=one.image[:4])
    assert one != one._replace(header=one.header._replace(seq=43))
    assert one != "frame"


def test_in_a_log_line_a_frame_is_short() -> None:
    shown = repr(frame())
    assert shown == (
        "Frame(stream='cam', seq=42, codec='h264', width=16, height=8, key=True, age_s=0.0020)"
    ), shown
    assert repr(undecoded()) == f"Undecoded{shown}"


@EVERY_COPY
def test_a_shared_frame_travels_with_pixels_of_its_own(copied: Callable[[Frame], Frame]) -> None:
    slot = Slot()
    shown = frame(slot)
    arrived = copied(shown)
    slot.valid = False
    assert arrived == shown
    assert arrived.valid
    assert arrived.memory is None
    assert not np.shares_memory(arrived.image, shown.image)
    with pytest.raises(FrameExpired):
        copied(shown)


@pytest.mark.parametrize("memory", [None, Slot()])
def test_a_copy_is_the_same_frame_with_memory_of_its_own_to_draw_on(memory: PictureMemory | None) -> None:
    shown = frame(memory)
    copied = shown.copy()
    assert (copied.image == shown.image).all()
    assert not np.shares_memory(copied.image, shown.image)
    assert copied.image.flags.owndata
    assert copied.image.flags.c_contiguous
    assert copied.image.flags.writeable
    copied.image[:] = 0
    assert shown.image.any()
    assert copied._replace(image=shown.image, memory=memory) == shown
    assert copied.memory is None


def test_what_is_no_longer_there_cannot_be_copied() -> None:
    slot = Slot()
    slot.valid = False
    with pytest.raises(FrameExpired) as caught:
        frame(slot).copy()
    assert str(caught.value) == EXPIRED
    assert isinstance(caught.value, FanlightError)


def test_what_is_overwritten_during_the_copy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is copied first and checked then: checked first, torn pixels could be returned."""
    slot = Slot()
    shown = frame(slot)
    array = np.array

    def overtaken(image: object) -> object:
        slot.valid = False
        return array(image)

    monkeypatch.setattr(np, "array", overtaken)
    with pytest.raises(FrameExpired):
        shown.copy()


# What there is besides ---------------------------------------------------------------------------------


def test_meta_is_the_object_that_was_sent_and_a_new_one_each_time() -> None:
    shown = frame()
    assert shown.meta == {}
    told = shown._replace(header=shown.header._replace(meta='{"gps":[48.1,11.6]}'))
    assert told.meta == {"gps": [48.1, 11.6]}
    told.meta["gps"].clear()
    assert told.meta == {"gps": [48.1, 11.6]}
    assert told != shown
    assert told.stream == shown.stream == "cam"


@pytest.mark.parametrize("padded", [False, True])
def test_rgb_is_a_contiguous_copy_with_red_first(padded: bool) -> None:
    shown = frame()
    if padded:
        shown = shown._replace(image=np.pad(shown.image, ((0, 0), (0, 3), (0, 0)))[:, :-3])
    rgb = shown.rgb
    assert (rgb == shown.image[..., ::-1]).all()
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert rgb.flags.owndata
    assert rgb.flags.writeable


def test_rgb_is_made_of_bgr_only() -> None:
    grey = frame()._replace(image=frame().image[..., 0])
    with pytest.raises(FanlightError, match=r"^rgb is made of bgr: leave out"):
        grey.rgb  # noqa: B018


def test_rgb_of_what_was_overwritten_is_refused() -> None:
    slot = Slot()
    shown = frame(slot)
    assert shown.rgb.any()
    slot.valid = False
    with pytest.raises(FrameExpired):
        shown.rgb  # noqa: B018


def test_a_decoded_frame_has_no_encoded_bytes() -> None:
    with pytest.raises(
        FanlightError, match=r"^a decoded frame has no encoded bytes: Consumer\(decode=False\)"
    ):
        frame().encoded  # noqa: B018


# Frames as they came -----------------------------------------------------------------------------------


def undecoded(body: bytes = b"body") -> UndecodedFrame:
    no_pixels = np.empty((0, 0, 3), np.uint8)
    return UndecodedFrame(no_pixels, frame().header, 2_000_000, 3_000_000, 0.002, 1, encoded_body=body)


def test_a_frame_as_it_came_has_bytes_and_no_pixels() -> None:
    assert undecoded().encoded == b"body"
    assert undecoded().valid
    for pixels in ("image", "rgb"):
        with pytest.raises(FanlightError, match=r"^a frame of Consumer\(decode=False\) has no pixels"):
            getattr(undecoded(), pixels)


def test_frames_as_they_came_are_equal_if_headers_and_bytes_are() -> None:
    assert undecoded() == undecoded()._replace(received_ns=1)
    assert undecoded() != undecoded(b"other")
    assert undecoded() != frame()
    assert frame() != undecoded()
    assert len({undecoded(), undecoded()}) == 1
    assert undecoded() != "frame"


@EVERY_COPY
def test_a_frame_as_it_came_travels(copied: Callable[[Frame], Frame]) -> None:
    arrived = copied(undecoded())
    assert isinstance(arrived, UndecodedFrame)
    assert arrived == undecoded() == undecoded().copy()
    assert arrived.encoded == b"body"
