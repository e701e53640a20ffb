"""By which way frames come: as the stream, or from a hub of this host. Changes over in both directions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import SharingError
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.shm import folder
from fanlight.common.shm.names import RingName
from fanlight.common.shm.reader import Attachment
from fanlight.consumer.account import Account
from fanlight.consumer.frame import Frame
from fanlight.consumer.hub_way import HubWay, at_work
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode, Via
from fanlight.consumer.stream_way import StreamWay
from fanlight.consumer.ways import Present

_LOG: Final = logging.getLogger(__name__)

# How often to look whether there is a hub.
_LOOK_NS: Final = 200_000_000
_LOOK_S: Final = 0.2
# What cannot be used may become usable: descriptors were short, say.
_RETRY_NS: Final = 1_000_000_000


class Route:
    """Belongs to the presenting thread.

    Attributes:
        follows_stream: whether the subscriber is to begin with the stream itself.

    Args:
        ring: what a hub would share for this consumer; None if none is wanted.
        follow: to be called after the subscriber was made: has it join or leave the stream. Thread-safe.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        ring: RingName | None,
        stream: StreamWay,
        receiver: Receiver,
        account: Account,
        present: Present,
        follow: Callable[[bool], None],
    ) -> None:
        self._settings = settings
        self._ring = ring
        self._stream = stream
        self._receiver = receiver
        self._account = account
        self._present = present
        self._follow = follow
        self._only_hubs = settings.way is Via.HOST
        sync = settings.playout is PlayoutMode.SYNC
        self._delay_ns = int(settings.delay_s * 1e9) if sync else None
        self._hub: HubWay | None = None
        # A hub was found, and frames that came as the stream wait for their turn: these come first.
        self._found: Attachment | None = None
        self._looked_ns: int | None = None
        self._unusable: dict[str, int] = {}
        self._said = ""
        self._complaints = RateLimiter()
        if self._only_hubs:
            receiver.pause()
        elif ring is not None:
            self._found = self._find(ring, monotonic_ns())
            if self._found is not None:
                receiver.pause()
        self.follows_stream = self._found is None and not self._only_hubs

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None if there is none in that time, or there was other work."""
        hub = self._hub
        if hub is None:
            if self._found is None:
                self._look()
            if self._found is None or not self._stream.empty:
                return self._stream.take(timeout_s if self._ring is None else min(timeout_s, _LOOK_S))
            hub = self._change_to_hub(self._found)
        frame = hub.take(timeout_s)
        if frame is None and hub.silent and hub.left:
            self._leave(hub)
        return frame

    def _look(self) -> None:
        now_ns = monotonic_ns()
        if self._ring is None or (self._looked_ns is not None and now_ns - self._looked_ns < _LOOK_NS):
            return
        self._looked_ns = now_ns
        self._found = self._find(self._ring, now_ns)
        if self._found is not None:
            self._receiver.pause()
            self._follow(False)

    def _find(self, ring: RingName, now_ns: int) -> Attachment | None:
        try:
            names = folder.segments(ring)
        except SharingError as error:
            self._warn(error, now_ns)
            return None
        self._unusable = {name: until for name, until in self._unusable.items() if name in names}
        for name in names:
            if now_ns < self._unusable.get(name, 0):
                continue
            try:
                attachment = Attachment(name, ring.form)
                self._check(attachment)
            except SharingError as error:
                self._unusable[name] = now_ns + _RETRY_NS
                self._warn(error, now_ns)
                continue
            # A segment without a picture yet may stay so: its hub gets no frames.
            if attachment.newest and at_work(attachment.liveness_ns, now_ns) and attachment.alive:
                return attachment
        return None

    def _warn(self, error: SharingError, now_ns: int) -> None:
        """Once for each reason: it may stay as it is for days."""
        if str(error) != self._said and self._complaints.allow(now_ns) is not None:
            self._said = str(error)
            _LOG.warning("%s; the stream itself will do", error)

    def _check(self, attachment: Attachment) -> None:
        grace_ns, needed_ns = attachment.header.grace_ns, self._delay_ns or 0
        if grace_ns < needed_ns:
            raise SharingError(
                f"the hub keeps shared pictures for {grace_ns / 1e6:.0f} ms, here they are needed for "
                f"{needed_ns / 1e6:.0f}: give it a longer --max-age"
            )
        if self._receiver.refuses(attachment.header.epoch):
            raise SharingError("the hub shares frames of a producer that this consumer has left")

    def _change_to_hub(self, attachment: Attachment, after: tuple[int, int] | None = None) -> HubWay:
        self._found = None
        self._stream.rest()
        self._hub = hub = HubWay(
            attachment,
            self._settings.stream,
            self._account,
            self._present,
            delay_ns=self._delay_ns,
            after=after or self._receiver.pause(),
        )
        return hub

    def _leave(self, hub: HubWay) -> None:
        """It has left: for its successor if there is one, else for the stream."""
        assert self._ring is not None  # noqa: S101 - else there would be no hub
        successor = self._find(self._ring, monotonic_ns())
        if successor is not None:
            self._change_to_hub(successor, hub.last)
        elif hub.overdue:
            self._hub = None
            self._receiver.resume(hub.last)
            if self._only_hubs:
                self._receiver.pause()  # nothing is shown again by the next hub
            else:
                self._follow(True)
