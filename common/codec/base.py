"""The interface of every encoder and decoder, and what the codecs of single pictures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from fanlight.common.codec.picture import BGR, Converter, Picture, convert_bgr
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, Pixels

# libavcodec compares sizes with its `max_pixels` after it has rounded them up to whole blocks.
MARGIN_PIXELS: Final = 65536


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body, and whether it can be decoded alone."""

    body: bytes
    key: bool


class Encoder(Protocol):
    """Belongs to one thread. Follows a change of picture size by itself, with a keyframe."""

    def encode(self, picture: Picture, *, key: bool) -> Encoded:
        """Encode one picture; `key` asks for a frame that can be decoded alone.

        Raises:
            EncodeError: the codec cannot encode this picture.
        """
        ...


class Decoded(Protocol):
    """A frame that arrived whole; its pixels are computed only if it is presented."""

    def pixels(self, picture_format: PictureFormat = FULL_BGR) -> Pixels:
        """The pixels in the requested form, in memory of their own.

        Called at most once, by the thread that decodes; later frames may have been decoded in between.

        Raises:
            DecodeError: the body does not hold the picture that the header announces.
        """
        ...


class Decoder(Protocol):
    """Belongs to one thread, the presenting one."""

    def decode(self, frame: EncodedFrame) -> Decoded:
        """Decode one frame. Inter-coded frames must all be passed in, in order.

        Raises:
            DecodeError: the body cannot be used.
        """
        ...

    def reset(self) -> None:
        """Forget all references: the next frame is a keyframe."""
        ...


class DeferredPixels:
    """See `Decoded`."""

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[PictureFormat], Pixels]) -> None:
        self._compute: Callable[[PictureFormat], Pixels] | None = compute

    def pixels(self, picture_format: PictureFormat = FULL_BGR) -> Pixels:
        # Released afterwards: the decoder can then use the memory of its picture again.
        compute, self._compute = self._compute, None
        assert compute is not None  # noqa: S101 - called at most once
        return compute(picture_format)


class StillDecoder(ABC):
    """The decoder of a codec whose every frame can be decoded alone; see `Decoder`."""

    def __init__(self) -> None:
        self.converter = Converter()

    def decode(self, frame: EncodedFrame) -> DeferredPixels:
        self.check(frame)
        return DeferredPixels(
            lambda picture_format: convert_bgr(self.image(frame), picture_format, self.converter)
        )

    def reset(self) -> None:  # noqa: B027 - the same for all of them: there are no references
        pass

    @abstractmethod
    def check(self, frame: EncodedFrame) -> None:
        """Compare the body with its header, before memory is allocated for the picture.

        Raises:
            DecodeError: they differ, or the body cannot be used.
        """

    @abstractmethod
    def image(self, frame: EncodedFrame) -> BGR:
        """Decode a body that was checked.

        Raises:
            DecodeError: it is damaged.
        """


def check_size(
    frame: EncodedFrame, found: tuple[int, int], expected: tuple[int, int] | None = None
) -> None:
    """Compare the size found in a body with the header's.

    Args:
        found: (width, height) in the body.
        expected: the size that the body must have; by default the header's.

    Raises:
        DecodeError: they differ.
    """
    header = frame.header
    if found != (expected or (header.width, header.height)):
        raise DecodeError(
            f"{header.codec} body is {found[0]}x{found[1]}: its header says {header.width}x{header.height}"
        )
