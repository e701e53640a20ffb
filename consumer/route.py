"""Selects the source of frames: the stream itself, or a hub of this host. Switches in both directions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from fanlight.common import clock
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import SharingError
from fanlight.common.shm import locks, private_folder
from fanlight.common.shm.names import RingName
from fanlight.common.shm.reader import Attachment
from fanlight.common.users import user_name
from fanlight.consumer.frame import Frame
from fanlight.consumer.hub_source import HubSource, is_live
from fanlight.consumer.receiver import Admission
from fanlight.consumer.stream_source import StreamSource

_LOG: Final = logging.getLogger(__name__)

# Interval between searches for a hub.
_SEARCH_NS: Final = 200_000_000
# A segment may become usable later, for instance after a shortage of file descriptors.
_RETRY_NS: Final = 1_000_000_000

LastFrame = tuple[int, int] | None


class HubSearch:
    """Finds a hub that this consumer can use. Not thread-safe.

    Args:
        ring: name of the ring that this consumer can use.
        delay_ns: of `sync`; None for `latest`.
        refuses: whether frames of an epoch are from a producer that another one has replaced.
        required: whether there are no frames without a hub: then its absence is logged.
    """

    def __init__(
        self,
        ring: RingName,
        delay_ns: int | None,
        refuses: Callable[[int], bool],
        *,
        required: bool = False,
    ) -> None:
        self._ring = ring
        self._needed_ns = delay_ns or 0
        self._refuses = refuses
        self._otherwise = "no frames until then" if required else "the stream itself is used"
        self._required = required
        # Segments that cannot be used, and the time at which each is tried again.
        self._unusable: dict[str, int] = {}
        self._warned = ""
        self._log = LimitedLog(_LOG)

    def find(self, now_ns: int) -> Attachment | None:
        """A live hub; `now_ns` is monotonic."""
        try:
            names = locks.segments(self._ring)
        except SharingError as error:
            self._warn(str(error), now_ns)
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
                self._warn(str(error), now_ns)
                continue
            # A segment without a picture may stay empty: its hub may receive no frames.
            if attachment.newest and is_live(attachment.liveness_ns, now_ns) and attachment.alive:
                if self._required and self._warned:
                    self._warned = ""
                    _LOG.info("a hub shares %s: its frames are used", self._ring.stream)
                return attachment
        if self._required and not self._unusable:
            self._warn(absence(self._ring), now_ns)
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

    def _warn(self, why: str, now_ns: int) -> None:
        """Log each reason once: it may persist for days."""
        if why != self._warned:
            self._warned = why
            self._log.warn(now_ns, "%s; %s", why, self._otherwise)


def absence(ring: RingName) -> str:
    """Why no hub can be used, and what to do."""
    hubs = locks.hubs(ring.stream)
    if ring.lock in hubs:
        return f"the hub has no frames of {ring.stream} yet: is the producer running?"
    text = f"no hub of this user shares {ring.stream} as {ring.picture_format} from this --url"
    if hubs:
        shared = {name.rsplit(".", 3)[1] for name in hubs}
        text += f" (hubs share {', '.join(sorted(shared))}: see --format, --size, --url)"
    users = [
        f"a hub of user {user_name(user)} serves that user only"
        for user in sorted(private_folder.other_users())
    ]
    return "; ".join([text, *users, "start one (python -m consumer --sink share) or omit --via host"])


class Route:
    """Takes frames from the current source. Belongs to the presenting thread.

    Attributes:
        follows_stream: whether the subscriber should follow the stream from the start.

    Args:
        search: None to use the stream only.
        attach: creates the source for a hub, for the frames after a given one.
        follow: makes the subscriber join or leave the stream. Thread-safe.
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
        # A hub that is used once the queued frames of the stream are presented.
        self._found = None if only_hubs or search is None else search.find(now_ns())
        self._searched_ns: int | None = None
        if only_hubs or self._found is not None:
            admission.pause()
        self.follows_stream = self._found is None and not only_hubs

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None on a timeout, or after other work."""
        hub = self._hub
        if hub is None:
            self._find_hub()
            if self._found is None or not self._stream.empty:
                return self._stream.take(
                    timeout_s if self._search is None else min(timeout_s, _SEARCH_NS / 1e9)
                )
            hub = self._change_to_hub(self._found, self._admission.pause())
        frame = hub.take(timeout_s)
        if frame is None and hub.idle and hub.lost:
            self._leave(hub)
        return frame

    @property
    def ended(self) -> bool:
        """Whether the stream has ended in good order, and its last frame was taken."""
        return self._admission.ended and self._stream.empty if self._hub is None else self._hub.ended

    def restart(self) -> None:
        """Continue after an exception, as of a signal handler, has interrupted `take`, wherever it was."""
        if self._hub is None and not self._only_hubs and not self._stream.waited():
            # It may have been about to change to a hub, or back.
            self._found = None
            self._admission.resume(None, self._now_ns())
            self._follow(True)
            self._stream.restart()

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
        """Switch to the hub's successor if there is one, else to the stream."""
        successor = None if self._search is None else self._search.find(self._now_ns())
        if successor is not None:
            self._change_to_hub(successor, hub.last or self._admission.pause())
        elif hub.successor_overdue:
            self._hub = None
            self._admission.resume(hub.last, self._now_ns(), ended=hub.ended)
            if self._only_hubs:
                self._admission.pause()  # so that the next hub repeats no frame
            else:
                self._follow(True)
