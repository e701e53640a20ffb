"""A presented frame, as programs and sinks receive it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from fanlight.common.model.errors import FanlightError, FrameExpired
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.meta import from_text
from fanlight.common.model.pixels import Pixels

if TYPE_CHECKING:
    from fanlight.common.model.result import Result

NO_RESULTS: Final[Mapping[str, Result]] = MappingProxyType({})


class PictureMemory(Protocol):
    """The owner of shared memory with a picture."""

    @property
    def valid(self) -> bool:
        """False once the memory may have been overwritten."""
        ...


class Frame(NamedTuple):
    """A picture to show now, with its header.

    Frames are equal if their headers and pixels are. A pickled frame has its own pixels, as after `copy()`.

    Attributes:
        image: uint8, C-contiguous, read-only; (height, width, 3), BGR, unless another `format` was
            requested. The frame's own: it may be kept; call `copy()` to draw on it. With `zero_copy` it may
            be memory that a hub shares with all consumers of this host: call `copy()` to keep it.
        header: the wire header.
        received_ns: Unix time of arrival at this process.
        presented_ns: Unix time at which it was presented.
        age_s: seconds from capture to presentation, by the producer's clock.
        lost: frames lost since the previous presented frame.
        results: what detectors found in exactly this frame, by their names, in pixels of `image`; one that
            did not answer in time is missing. Always empty without the consumer's `results`.
        encoded_body: the bytes of `encoded`; None with pixels.
        captured_ns: capture time by this host's monotonic clock (`time.monotonic_ns()`), which compares
            frames of producers whose clocks differ.
    """

    image: Pixels
    header: FrameHeader
    received_ns: int
    presented_ns: int
    age_s: float
    lost: int
    memory: PictureMemory | None = None
    results: Mapping[str, Result] = NO_RESULTS
    encoded_body: bytes | None = None
    captured_ns: int = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return self.header == other.header and np.array_equal(self.image, other.image)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.header.stream, self.epoch, self.seq))

    def __repr__(self) -> str:
        header = self.header  # not the pixels: a frame in a log line is one line
        return (
            f"{type(self).__name__}(stream={header.stream!r}, seq={header.seq}, "
            f"codec={header.codec.value!r}, width={header.width}, height={header.height}, "
            f"key={header.key}, age_s={self.age_s:.4f})"
        )

    def __reduce__(self) -> tuple[type[Frame], tuple[object, ...]]:
        owned = self if self.memory is None else self.copy()
        return type(self), tuple(owned._replace(results=dict(self.results)))

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self.header.stream

    @property
    def seq(self) -> int:
        """Number of the frame: 0, 1, 2, ... within an epoch, without gaps at the producer."""
        return self.header.seq

    @property
    def epoch(self) -> int:
        """Random number of the producer that sent it; another one after a restart."""
        return self.header.epoch

    @property
    def capture_ns(self) -> int:
        """Unix time of capture in nanoseconds, by the producer's clock."""
        return self.header.capture_ns

    @property
    def meta(self) -> dict[str, Any]:
        """What the producer's `send` said about this frame (`meta=`); empty if nothing. A new object."""
        return from_text(self.header.meta)

    @property
    def encoded(self) -> bytes:
        """The frame as it came, encoded as `header.codec` says: see docs/wire.md.

        Raises:
            FanlightError: it was decoded; create the consumer with `decode=False`.
        """
        raise FanlightError("a decoded frame has no encoded bytes: Consumer(decode=False) has them")

    @property
    def rgb(self) -> Pixels:
        """A copy of the pixels with red first: uint8, (height, width, 3), C-contiguous, writable.

        Raises:
            FanlightError: the consumer's `format` is not `bgr`.
            FrameExpired: the shared picture has been overwritten.
        """
        image = self.image
        if image.ndim != 3:
            raise FanlightError("rgb is made of bgr: leave out the consumer's format, or use frame.image")
        rgb = np.empty(image.shape, np.uint8)
        for channel in range(3):
            rgb[..., channel] = image[..., 2 - channel]
        self._check_valid()
        return rgb

    @property
    def valid(self) -> bool:
        """Whether `image` has not been overwritten: everything read from it so far is consistent.

        False only for a shared picture, as with `zero_copy`, after its grace time: the hub's `--max-age`,
        by default 500 ms.
        """
        return self.memory is None or self.memory.valid

    def copy(self) -> Frame:
        """The same frame with its own pixels, to keep and to draw on.

        Raises:
            FrameExpired: the shared picture has been overwritten.
        """
        image = np.array(self.image)
        self._check_valid()
        return self._replace(image=image, memory=None)

    def _check_valid(self) -> None:
        if not self.valid:
            raise FrameExpired(
                f"frame {self.seq} was held for longer than its hub keeps pictures: copy it at once, "
                "or give the hub a longer --max-age"
            )


class UndecodedFrame(Frame):
    """A frame as `Consumer(decode=False)` hands it out: with `encoded`, and without pixels."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return self.header == other.header and self.encoded_body == other.encoded_body

    __hash__ = Frame.__hash__

    @property
    def image(self) -> Pixels:
        """Raises FanlightError."""
        raise FanlightError("a frame of Consumer(decode=False) has no pixels: it has frame.encoded")

    @property
    def encoded(self) -> bytes:
        return self.encoded_body or b""

    def copy(self) -> Frame:
        """The same: it owns what it has."""
        return self
