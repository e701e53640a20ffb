"""What both ways for frames to come, the stream and a hub, give to whoever presents."""

from __future__ import annotations

from typing import NamedTuple

from common.frame import FrameHeader
from common.pixels import Pixels
from common.sharing.reader import SharedPicture


class Ready(NamedTuple):
    """A frame with its pixels, to be presented now or in a moment.

    Attributes:
        received_ns: Unix time of arrival.
        captured_ns: when it was captured, by our monotonic clock.
        due_ns: when it is to be presented, likewise; None for at once.
        lost: frames of the stream that never arrived before this one, since the consumer started.
        picture: where the pixels are, if a hub shares them.
    """

    header: FrameHeader
    image: Pixels
    received_ns: int
    captured_ns: int
    due_ns: int | None
    lost: int
    picture: SharedPicture | None = None
