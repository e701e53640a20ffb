"""What every encoder and decoder looks like, so that the pipeline need not know which one it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from fanlight.common.codec.picture import Picture
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.pixels import FULL_BGR, Form, Pixels

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
            EncodeError: the codec cannot take this picture.
        """
        ...


class Decoded(Protocol):
    """A frame that arrived whole; its pixels are worked out only if it is presented."""

    def pixels(self, form: Form = FULL_BGR) -> Pixels:
        """The pixels in the form that is wanted, in memory of their own.

        Called at most once, by the thread that decodes; later frames may have been decoded in between.

        Raises:
            DecodeError: the body does not hold the picture that the header announces.
        """
        ...


class Decoder(Protocol):
    """Belongs to one thread, the presenting one."""

    def decode(self, frame: EncodedFrame) -> Decoded:
        """Take one frame. Inter-coded frames must all be offered, in order.

        Raises:
            DecodeError: the body cannot be used.
        """
        ...

    def reset(self) -> None:
        """Forget all references: the next frame is a keyframe."""
        ...


def check_announced(frame: EncodedFrame, width: int, height: int) -> None:
    """Compare the size found in a body with the header's, before memory is taken for the picture.

    Raises:
        DecodeError: they differ.
    """
    header = frame.header
    if (width, height) != (header.width, header.height):
        raise DecodeError(
            f"{header.codec} body is {width}x{height}: its header says {header.width}x{header.height}"
        )
