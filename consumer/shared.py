"""Pictures that a hub of this host shares: from references to pixels."""

from __future__ import annotations

import logging
from typing import Final

from common.clock import monotonic_ns
from common.errors import SharingError, WireFormatError
from common.frame import EncodedFrame
from common.pixels import Form
from common.ratelimit import RateLimiter
from common.sharing.layout import Reference
from common.sharing.reader import Attachment, SharedPicture

_LOG: Final = logging.getLogger(__name__)
# What cannot be used may become usable: descriptors were short, say.
_RETRY_NS: Final = 1_000_000_000


class SharedPictures:
    """The segments that references name, mapped when they are needed. Called by one thread at a time.

    Args:
        form: what the pictures have to look like.
        needed_s: how long after its capture a picture must still be there (the delay of `sync`).
    """

    def __init__(self, stream: str, form: Form, needed_s: float) -> None:
        self._stream = stream
        self._form = form
        self._needed_ns = int(needed_s * 1e9)
        self._current: Attachment | None = None
        self._name = b""
        self._unusable: str | None = None
        self._again_ns = 0
        self._said = ""
        self._complaints = RateLimiter()

    @property
    def alive(self) -> bool:
        """Whether the hub whose references came last still runs."""
        return self._current is not None and self._current.alive

    @property
    def beat_ns(self) -> int | None:
        """When it last said that it is at work (monotonic time); None if there was none."""
        return None if self._current is None else self._current.beat_ns

    def usable(self, frame: EncodedFrame) -> bool:
        """Whether what a frame refers to can be read here; if not, that is said."""
        current = self._current
        if current is not None and frame.body.startswith(self._name):
            return True
        try:
            segment = Reference.parse(frame.body).segment
            now_ns = monotonic_ns()
            if segment == self._unusable and now_ns < self._again_ns:
                return False
            self._unusable, self._again_ns = segment, now_ns + _RETRY_NS
            self._current = self._attached(segment)
        except (SharingError, WireFormatError) as error:
            # Once for each reason: it may stay as it is for days.
            if str(error) != self._said and self._complaints.allow(monotonic_ns()) is not None:
                self._said = str(error)
                _LOG.warning("%s; the stream itself will do", error)
            return False
        self._name = f"{segment} ".encode()
        self._unusable = None
        return True

    def picture(self, frame: EncodedFrame) -> SharedPicture | None:
        """What a frame refers to; None if it is no longer there.

        Raises:
            SharingError: it cannot be used, or is another picture than the header says.
        """
        current = self._current
        if current is None or not frame.body.startswith(self._name):
            return None  # of a segment before this one: older than the changeover that it took
        said, found = frame.header, current.header
        if said.width != found.width or said.height != found.height or said.epoch != found.epoch:
            raise SharingError(
                f"shared picture refused: it is {found.width}x{found.height} of epoch {found.epoch:x}, its "
                f"header says {said.width}x{said.height} of epoch {said.epoch:x}"
            )
        try:
            reference = Reference.parse(frame.body)
        except WireFormatError as error:
            raise SharingError(f"shared picture refused: {error}") from None
        return current.picture(reference.slot, reference.generation)

    def _attached(self, segment: str) -> Attachment:
        attachment = Attachment(segment, self._stream, self._form)
        grace_ns = attachment.header.grace_ns
        if grace_ns < self._needed_ns:
            raise SharingError(
                f"the hub keeps shared pictures for {grace_ns / 1e6:.0f} ms, here they are needed for "
                f"{self._needed_ns / 1e6:.0f}: give it a longer --max-age"
            )
        return attachment
