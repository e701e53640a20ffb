"""What both ways for frames to come, the stream and a hub, hand their frames to."""

from __future__ import annotations

from typing import Protocol

from fanlight.common.model.frame import FrameHeader
from fanlight.common.model.pixels import Pixels
from fanlight.common.shm.reader import SharedPicture
from fanlight.consumer.frame import Frame


class Present(Protocol):
    """Makes a frame of what has come, at its time."""

    def __call__(
        self,
        header: FrameHeader,
        image: Pixels,
        received_ns: int,
        captured_ns: int,
        due_ns: int | None,
        lost: int,
        picture: SharedPicture | None = None,
    ) -> Frame | None:
        """The frame, now that it is presented; None if it has become too old.

        Args:
            received_ns: Unix time of arrival.
            captured_ns: when it was captured, by our monotonic clock.
            due_ns: when it is to be presented, likewise, if that is not past; None for at once.
            lost: frames of the stream that never arrived before this one, since the consumer started.
            picture: where the pixels are, if a hub shares them.
        """
        ...
