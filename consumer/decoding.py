"""From encoded frames to pixels, in the presenting thread: the receiving one must stay free to receive.

Inter-coded frames all pass through the decoder, in order; of the others only those that are shown.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.codec import decoder
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec
from fanlight.common.model.histogram import CODEC_BOUNDS_S, Histogram
from fanlight.common.model.pixels import Form, Pixels
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.consumer.playout import Arrived
from fanlight.consumer.stats import Event

if TYPE_CHECKING:
    # Bring PyAV along, which nobody needs who gets shared pictures.
    from fanlight.common.codec.base import Decoded, Decoder

_LOG: Final = logging.getLogger(__name__)


class Decoding:
    """Owns the decoder. Not thread-safe.

    Args:
        form: what the pictures have to look like.
        on_broken: told of a frame that cannot be decoded and that later ones refer to.
        times: gets the time that each frame took, in seconds, with its conversion if it has one.
    """

    def __init__(self, form: Form, on_broken: Callable[[], None], times: Histogram | None = None) -> None:
        self._form = form
        self._times = Histogram(CODEC_BOUNDS_S) if times is None else times
        self._on_broken = on_broken
        self._decoder: Decoder | None = None
        self._codec: Codec | None = None
        self._awaiting_key = False
        # With the time that each has taken already.
        self._ahead: deque[tuple[Arrived, Decoded | Event, int]] = deque()
        self._prepared: tuple[Arrived, Pixels | Event] | None = None
        self._complaints = RateLimiter()

    def rest(self) -> None:
        """Let go of the decoder and its pictures: frames come from a hub now."""
        self._decoder = self._codec = self._prepared = None
        self._ahead.clear()

    def skip(self, arrived: Arrived) -> None:
        """Take a frame that is not shown, for later ones may refer to it."""
        if not arrived.header.codec.intra_only and not self._is_prepared(arrived):
            began_ns = monotonic_ns()
            _, earlier_ns = self._take_or_decode(arrived)
            self._took(began_ns, earlier_ns)

    def decode_ahead(self, arrived: Arrived) -> None:
        """Decode a frame before its turn; its pixels can wait."""
        began_ns = monotonic_ns()
        decoded = self._decode(arrived)
        self._ahead.append((arrived, decoded, monotonic_ns() - began_ns))

    def prepare(self, arrived: Arrived) -> None:
        """Work out the pixels of a frame just before its turn."""
        self._prepared = (arrived, self.pixels(arrived))

    def pixels(self, arrived: Arrived) -> Pixels | Event:
        """The pixels of a frame, or why it has none: `undecodable`, or `awaiting_key`."""
        if self._prepared is not None and self._is_prepared(arrived):
            image, self._prepared = self._prepared[1], None
            return image
        began_ns = monotonic_ns()
        decoded, earlier_ns = self._take_or_decode(arrived)
        if isinstance(decoded, Event):
            return decoded
        try:
            image = decoded.pixels(self._form)
        except DecodeError as error:
            return self._refused(arrived, error)
        self._took(began_ns, earlier_ns)
        # As those that a hub shares are: a program must not work by one way and fail by the other.
        image.flags.writeable = False
        return image

    def _is_prepared(self, arrived: Arrived) -> bool:
        return self._prepared is not None and self._prepared[0] is arrived

    def _took(self, began_ns: int, earlier_ns: int) -> None:
        self._times.observe((monotonic_ns() - began_ns + earlier_ns) / 1e9)

    def _take_or_decode(self, arrived: Arrived) -> tuple[Decoded | Event, int]:
        """A frame decoded, and the time in ns that this took before now."""
        # Those before it were given up without being mentioned: nothing refers to them.
        while self._ahead:
            decoded_ahead, decoded, took_ns = self._ahead.popleft()
            if decoded_ahead is arrived:
                return decoded, took_ns
        return self._decode(arrived), 0

    def _decode(self, arrived: Arrived) -> Decoded | Event:
        header = arrived.frame.header
        if self._awaiting_key and not header.key:
            return Event.AWAITING_KEY
        decoding = self._decoder
        if decoding is None or header.codec is not self._codec:
            self._codec = header.codec
            decoding = self._decoder = decoder(header.codec)
        elif arrived.reset or self._awaiting_key:
            decoding.reset()
        self._awaiting_key = False
        try:
            return decoding.decode(arrived.frame)
        except DecodeError as error:
            return self._refused(arrived, error)

    def _refused(self, arrived: Arrived, error: DecodeError) -> Event:
        held_back = self._complaints.allow(monotonic_ns())
        if held_back is not None:
            suffix = f" (and {held_back} more like it)" if held_back else ""
            _LOG.warning("frame refused: %s%s", error, suffix)
        if not arrived.header.codec.intra_only:
            self._awaiting_key = True
            self._on_broken()
        return Event.UNDECODABLE
