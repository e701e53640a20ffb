"""A presented frame, as programs and sinks receive it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from fanlight.common.model.errors import FrameExpired
from fanlight.common.model.frame import FrameHeader
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
    """

    image: Pixels
    header: FrameHeader
    received_ns: int
    presented_ns: int
    age_s: float
    lost: int
    memory: PictureMemory | None = None
    results: Mapping[str, Result] = NO_RESULTS

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
        return Frame, tuple(owned._replace(results=dict(owned.results)))

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
        if not self.valid:
            raise FrameExpired(
                f"frame {self.seq} was held for longer than its hub keeps pictures: copy it at once, "
                "or give the hub a longer --max-age"
            )
        return self._replace(image=image, memory=None)
