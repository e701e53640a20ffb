"""Takes due frames of the stream from the mailbox and decodes them, on the presenting thread.

All inter-coded frames are decoded, in order; intra-only frames only if they are shown.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.codec import decoder
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.control import Reason
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec
from fanlight.common.model.histogram import Histogram
from fanlight.common.model.pixels import PictureFormat, Pixels
from fanlight.consumer.delivery import Delivery
from fanlight.consumer.frame import Frame
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import IDLE, ReceivedFrame
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.stats import ConsumerCounters, Outcome

if TYPE_CHECKING:
    # They import PyAV, which is not needed for shared pictures.
    from fanlight.common.codec.base import Decoded, Decoder

_LOG: Final = logging.getLogger(__name__)


class StreamSource:
    """The stream as a source of frames. Belongs to the presenting thread.

    Args:
        ask: of a member of a pool: called before it waits for a frame, once it has finished the last one.
    """

    def __init__(
        self,
        picture_format: PictureFormat,
        mailbox: Mailbox,
        receiver: Receiver,
        counters: ConsumerCounters,
        delivery: Delivery,
        ask: Callable[[], None] | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._clock = receiver.clock
        self._counters = counters
        self._delivery = delivery
        self._taken: ReceivedFrame | None = None
        self._ask = ask
        self._finished = True  # with the last frame, but has not asked yet
        self._request_restart = partial(receiver.broken, Reason.DECODE_ERROR)
        self._decoding = Decoding(picture_format, self._request_restart, counters.decoding)

    @property
    def empty(self) -> bool:
        """Whether the mailbox is empty."""
        return not len(self._mailbox)

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None on a timeout, or after other work."""
        if self._ask is not None and self._finished:
            self._finished = False
            self._ask()
        step = self._mailbox.take(timeout_s)
        if step is not IDLE:
            self._finished = True
        self._taken = step.frame
        for referred_to in step.decode:
            self._decoding.skip(referred_to)
        if step.frame is not None:
            presented = self._present(step.frame, step.due_ns)
            self._taken = None
            return presented
        if step.prepare is not None:
            self._decoding.prepare(step.prepare)
        elif step.decode_ahead is not None:
            self._decoding.decode_ahead(step.decode_ahead)
        return None

    def release(self) -> None:
        """Release the decoder, since frames come from a hub now."""
        self._decoding.release()

    def waited(self) -> bool:
        """Whether an exception has ended `take` while it waited, and changed nothing."""
        return self._mailbox.waited()

    def restart(self) -> None:
        """Continue with the next keyframe, since `take` was interrupted."""
        taken, self._taken = self._taken, None
        if taken is not None:
            self._counters.dropped(taken.header, taken.received_ns, Outcome.AWAITING_KEY)
        self._decoding.restart()
        self._mailbox.clear()
        self._finished = True
        self._request_restart()

    def _present(self, frame: ReceivedFrame, due_ns: int | None) -> Frame | None:
        header = frame.header
        image = self._decoding.pixels(frame)
        if isinstance(image, Outcome):
            self._counters.last_error = self._decoding.last_error or self._counters.last_error
            self._counters.dropped(header, frame.received_ns, image)
            return None
        return self._deliver(frame, image, due_ns)

    def _deliver(self, frame: ReceivedFrame, image: Pixels, due_ns: int | None) -> Frame | None:
        header = frame.header
        offset_ns = self._clock.offset_ns()
        if not self._clock.plausible(self._clock.now_ns() - header.capture_ns):
            self._counters.dropped(header, frame.received_ns, Outcome.LATE)
            return None
        return self._delivery.present(
            header,
            image,
            frame.received_ns,
            header.capture_ns - offset_ns,
            None if due_ns is None else due_ns - offset_ns,
            frame.lost_before,
        )


class Decoding:
    """Owns the decoder. Not thread-safe.

    Args:
        form: format and size of the pictures.
        on_broken: called after an inter-coded frame that cannot be decoded.
        times: observes the time per frame, in seconds, for decoding and conversion.

    Attributes:
        last_error: why the latest frame that could not be decoded could not be.
    """

    def __init__(
        self,
        picture_format: PictureFormat,
        on_broken: Callable[[], None],
        times: Histogram,
        new_decoder: Callable[[Codec], Decoder] = decoder,
    ) -> None:
        self._form = picture_format
        self._on_broken = on_broken
        self._times = times
        self.last_error: DecodeError | None = None
        self._new_decoder = new_decoder
        self._decoder: Decoder | None = None
        self._codec: Codec | None = None
        self._awaiting_key = False
        # Each with the time in ns that it has taken so far.
        self._ahead: deque[tuple[ReceivedFrame, Decoded | Outcome, int]] = deque()
        self._prepared: tuple[ReceivedFrame, Pixels | Outcome] | None = None
        self._log = LimitedLog(_LOG)

    def release(self) -> None:
        """Release the decoder and its pictures."""
        self._decoder = self._codec = self._prepared = None
        self._ahead.clear()

    def restart(self) -> None:
        """Release the decoder, whose state is unknown, and decode nothing before a keyframe."""
        self.release()
        self._awaiting_key = True

    def skip(self, frame: ReceivedFrame) -> None:
        """Decode a frame that is not shown, if later ones may refer to it."""
        if not frame.header.codec.intra_only and not self._is_prepared(frame):
            began_ns = monotonic_ns()
            _, earlier_ns = self._take_or_decode(frame)
            self._observe_time(began_ns, earlier_ns)

    def decode_ahead(self, frame: ReceivedFrame) -> None:
        """Decode a frame before it is due, without conversion."""
        began_ns = monotonic_ns()
        decoded = self._decode(frame)
        self._ahead.append((frame, decoded, monotonic_ns() - began_ns))

    def prepare(self, frame: ReceivedFrame) -> None:
        """Work out the pixels of a frame just before it is due."""
        self._prepared = (frame, self.pixels(frame))

    def pixels(self, frame: ReceivedFrame) -> Pixels | Outcome:
        """The pixels of a frame, or why it has none: `undecodable`, or `awaiting_key`."""
        if self._prepared is not None and self._is_prepared(frame):
            image, self._prepared = self._prepared[1], None
            return image
        began_ns = monotonic_ns()
        decoded, earlier_ns = self._take_or_decode(frame)
        if isinstance(decoded, Outcome):
            return decoded
        try:
            image = decoded.pixels(self._form)
        except DecodeError as error:
            return self._refused(frame, error)
        self._observe_time(began_ns, earlier_ns)
        # Like pictures of a hub, so that a program behaves the same with both sources.
        image.flags.writeable = False
        return image

    def _is_prepared(self, frame: ReceivedFrame) -> bool:
        return self._prepared is not None and self._prepared[0] is frame

    def _observe_time(self, began_ns: int, earlier_ns: int) -> None:
        self._times.observe((monotonic_ns() - began_ns + earlier_ns) / 1e9)

    def _take_or_decode(self, frame: ReceivedFrame) -> tuple[Decoded | Outcome, int]:
        """The decoded frame, and the time in ns spent on it before this call."""
        # Earlier frames were dropped: no frame refers to them.
        while self._ahead:
            decoded_ahead, decoded, took_ns = self._ahead.popleft()
            if decoded_ahead is frame:
                return decoded, took_ns
        return self._decode(frame), 0

    def _decode(self, frame: ReceivedFrame) -> Decoded | Outcome:
        header = frame.header
        if self._awaiting_key and not header.key:
            return Outcome.AWAITING_KEY
        decoding = self._decoder
        if decoding is None or header.codec is not self._codec:
            self._codec = header.codec
            decoding = self._decoder = self._new_decoder(header.codec)
        elif frame.reset or self._awaiting_key:
            decoding.reset()
        self._awaiting_key = False
        try:
            return decoding.decode(frame.frame)
        except DecodeError as error:
            return self._refused(frame, error)

    def _refused(self, frame: ReceivedFrame, error: DecodeError) -> Outcome:
        self._log.warn(monotonic_ns(), "frame refused: %s", error)
        self.last_error = error
        if not frame.header.codec.intra_only:
            self._awaiting_key = True
            self._on_broken()
        return Outcome.UNDECODABLE
