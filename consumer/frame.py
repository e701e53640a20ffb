"""What a consumer's program gets: one presented frame."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from fanlight.common.model.errors import FrameExpired
from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.pixels import Pixels


class PictureMemory(Protocol):
    """Whatever a picture's memory belongs to, if not to the picture alone."""

    @property
    def valid(self) -> bool:
        """False once something else may have been written there."""
        ...


class Frame(NamedTuple):
    """The picture to show now.

    Frames are equal if their headers and pixels are. A pickled frame has pixels of its own, as of `copy()`.

    Attributes:
        image: uint8, read-only; (height, width, 3), BGR, unless another `format` was asked for. It may be
            memory that a hub of this host shares with all its consumers: use it now, and `copy()` what
            is to be kept or drawn on.
        header: the wire header.
        received_ns: Unix time of arrival at this process.
        presented_ns: Unix time at which it was presented.
        age_s: time from capture to presentation, in seconds, by the producer's clock.
        lost: frames of the stream that never arrived since the frame presented before this one.
    """

    image: Pixels
    header: FrameHeader
    received_ns: int
    presented_ns: int
    age_s: float
    lost: int
    memory: PictureMemory | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return self.header == other.header and np.array_equal(self.image, other.image)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.header.stream, self.epoch, self.seq))

    def __reduce__(self) -> tuple[type[Frame], tuple[object, ...]]:
        owned = self if self.memory is None else self.copy()
        return Frame, tuple(owned)

    @property
    def seq(self) -> int:
        return self.header.seq

    @property
    def epoch(self) -> int:
        return self.header.epoch

    @property
    def capture_ns(self) -> int:
        return self.header.capture_ns

    @property
    def valid(self) -> bool:
        """Whether `image` still is what it was, and nothing that was read from it so far was torn.

        False only for a shared picture that was kept for longer than its grace time: the hub's `--max-age`
        after it was shared, or 500 ms.
        """
        return self.memory is None or self.memory.valid

    def copy(self) -> Frame:
        """The same frame with pixels of its own, to keep and to draw on.

        Raises:
            FrameExpired: the picture was kept for too long, and is no longer there.
        """
        image = np.array(self.image)
        if not self.valid:
            raise FrameExpired(
                f"frame {self.seq} was held for longer than its hub keeps pictures: copy it at once, "
                "or give the hub a longer --max-age"
            )
        return self._replace(image=image, memory=None)
