"""Where frames come from: the stream itself, or a hub of this host. Changes over in both directions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from fanlight.common import clock
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import SharingError
from fanlight.common.shm import folder
from fanlight.common.shm.names import RingName
from fanlight.common.shm.reader import Attachment
from fanlight.consumer.frame import Frame
from fanlight.consumer.hub_source import HubSource, at_work
from fanlight.consumer.receiver import Admission
from fanlight.consumer.stream_source import StreamSource

_LOG: Final = logging.getLogger(__name__)

# How often to look whether there is a hub.
_SEARCH_NS: Final = 200_000_000
# What cannot be used may become usable: descriptors were short, say.
_RETRY_NS: Final = 1_000_000_000

LastFrame = tuple[int, int] | None


class HubSearch:
    """Finds a hub that this consumer can use. Not thread-safe.

    Args:
        ring: what a hub would share for this consumer.
        delay_ns: of `sync`; None for `latest`.
        refuses: whether frames of an epoch are those of a producer that was left for another one.
    """

    def __init__(self, ring: RingName, delay_ns: int | None, refuses: Callable[[int], bool]) -> None:
        self._ring = ring
        self._needed_ns = delay_ns or 0
        self._refuses = refuses
        # Segments that cannot be used, and the time at which each is tried again.
        self._unusable: dict[str, int] = {}
        self._warned = ""
        self._log = LimitedLog(_LOG)

    def find(self, now_ns: int) -> Attachment | None:
        """A hub at work; `now_ns` is monotonic."""
        try:
            names = folder.segments(self._ring)
        except SharingError as error:
            self._warn(error, now_ns)
            return None
        self._unusable = {name: until for name, until in self._unusable.items() if name in names}
        for name in names:
            if now_ns < self._unusable.get(name, 0):
                continue
            try:
                attachment = Attachment(name, self._ring.picture_format)
                self._check(attachment)
            except SharingError as error:
                self._unusable[name] = now_ns + _RETRY_NS
                self._warn(error, now_ns)
                continue
            # A segment without a picture yet may stay so: its hub gets no frames.
            if attachment.newest and at_work(attachment.liveness_ns, now_ns) and attachment.alive:
                return attachment
        return None

    def _check(self, attachment: Attachment) -> None:
        grace_ns = attachment.header.grace_ns
        if grace_ns < self._needed_ns:
            raise SharingError(
                f"the hub keeps shared pictures for {grace_ns / 1e6:.0f} ms, here they are needed for "
                f"{self._needed_ns / 1e6:.0f}: give it a longer --max-age"
            )
        if self._refuses(attachment.header.epoch):
            raise SharingError("the hub shares frames of a producer that this consumer has left")

    def _warn(self, error: SharingError, now_ns: int) -> None:
        """Once for each reason: it may stay as it is for days."""
        if str(error) != self._warned:
            self._warned = str(error)
            self._log.warn(now_ns, "%s; the stream itself is used", error)


class Route:
    """Belongs to the presenting thread.

    Attributes:
        follows_stream: whether the subscriber is to begin with the stream itself.

    Args:
        search: for hubs; None if none is wanted.
        attach: makes a source of a hub that was found, for the frames after the last one that came.
        follow: to be called after the subscriber was made: has it join or leave the stream. Thread-safe.
        only_hubs: never use the stream.
        now_ns: the monotonic clock.
    """

    def __init__(
        self,
        search: HubSearch | None,
        stream: StreamSource,
        admission: Admission,
        attach: Callable[[Attachment, LastFrame], HubSource],
        follow: Callable[[bool], None],
        *,
        only_hubs: bool = False,
        now_ns: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        self._search = search
        self._stream = stream
        self._admission = admission
        self._attach = attach
        self._follow = follow
        self._only_hubs = only_hubs
        self._now_ns = now_ns
        self._hub: HubSource | None = None
        # A hub was found, and frames of the stream wait until they are due: these come first.
        self._found = None if only_hubs or search is None else search.find(now_ns())
        self._searched_ns: int | None = None
        if only_hubs or self._found is not None:
            admission.pause()
        self.follows_stream = self._found is None and not only_hubs

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None if there is none in that time, or there was other work."""
        hub = self._hub
        if hub is None:
            self._find_hub()
            if self._found is None or not self._stream.empty:
                return self._stream.take(
                    timeout_s if self._search is None else min(timeout_s, _SEARCH_NS / 1e9)
                )
            hub = self._change_to_hub(self._found, self._admission.pause())
        frame = hub.take(timeout_s)
        if frame is None and hub.silent and hub.left:
            self._leave(hub)
        return frame

    def _find_hub(self) -> None:
        if self._search is None or self._found is not None:
            return
        now_ns = self._now_ns()
        if self._searched_ns is not None and now_ns - self._searched_ns < _SEARCH_NS:
            return
        self._searched_ns = now_ns
        self._found = self._search.find(now_ns)
        if self._found is not None:
            self._admission.pause()
            self._follow(False)

    def _change_to_hub(self, attachment: Attachment, last: LastFrame) -> HubSource:
        self._found = None
        self._stream.release()
        self._hub = hub = self._attach(attachment, last)
        return hub

    def _leave(self, hub: HubSource) -> None:
        """For the hub's successor if there is one, else for the stream."""
        successor = None if self._search is None else self._search.find(self._now_ns())
        if successor is not None:
            self._change_to_hub(successor, hub.last or self._admission.pause())
        elif hub.overdue:
            self._hub = None
            self._admission.resume(hub.last, self._now_ns())
            if self._only_hubs:
                self._admission.pause()  # nothing is shown again by the next hub
            else:
                self._follow(True)
