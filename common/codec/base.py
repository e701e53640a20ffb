"""The interfaces of encoders and decoders, and the base class of decoders of still pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from fanlight.common.codec.picture import BGR, Converter, Picture, convert_bgr
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, Pixels

# libavcodec rounds sizes up to whole blocks before it compares them with its `max_pixels`.
MARGIN_PIXELS: Final = 65536


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body, and whether it can be decoded on its own."""

    body: bytes
    key: bool


class Encoder(Protocol):
    """Not thread-safe. Adapts to a change of picture size, with a keyframe."""

    def encode(self, picture: Picture, *, key: bool) -> Encoded:
        """Encode one picture; with `key`, as a frame that can be decoded on its own.

        Raises:
            EncodeError: the codec cannot encode this picture.
        """
        ...


class Decoded(Protocol):
    """A decoded frame whose pixels are converted only if it is presented."""

    def pixels(self, picture_format: PictureFormat = FULL_BGR) -> Pixels:
        """The pixels in the requested format, in memory that the decoder does not reuse.

        Called at most once, by the thread that decodes; later frames may have been decoded in between.

        Raises:
            DecodeError: the body does not contain the picture that the header announces.
        """
        ...


class Decoder(Protocol):
    """Not thread-safe: used by the presenting thread only."""

    def decode(self, frame: EncodedFrame) -> Decoded:
        """Decode one frame. Inter-coded frames must all be passed, in order.

        Raises:
            DecodeError: the body cannot be decoded.
        """
        ...

    def reset(self) -> None:
        """Discard all references: the next frame is a keyframe."""
        ...


class DeferredPixels:
    """See `Decoded`."""

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[PictureFormat], Pixels]) -> None:
        self._compute: Callable[[PictureFormat], Pixels] | None = compute

    def pixels(self, picture_format: PictureFormat = FULL_BGR) -> Pixels:
        # Released before the conversion ends, so that the decoder can reuse the memory of its picture.
        compute, self._compute = self._compute, None
        assert compute is not None  # noqa: S101 - called at most once
        return compute(picture_format)


class StillDecoder(ABC):
    """Base of decoders for codecs whose every frame can be decoded on its own; see `Decoder`."""

    def __init__(self) -> None:
        self.converter = Converter()

    def decode(self, frame: EncodedFrame) -> DeferredPixels:
        self.check(frame)
        return DeferredPixels(
            lambda picture_format: convert_bgr(self.image(frame), picture_format, self.converter)
        )

    def reset(self) -> None:  # noqa: B027 - not abstract: there are no references to discard
        pass

    @abstractmethod
    def check(self, frame: EncodedFrame) -> None:
        """Compare the body with its header before memory is allocated for the picture.

        Raises:
            DecodeError: they differ, or the body is invalid.
        """

    @abstractmethod
    def image(self, frame: EncodedFrame) -> BGR:
        """Decode a body that `check` accepted.

        Raises:
            DecodeError: the body is damaged.
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
