"""One consumer, put together: frames are received in the subscriber's thread and presented by `take`.

Threads: the subscriber's runs `Receiver`; the one that calls `take` runs `Route`, the two ways and what
decodes. Between them are the mailbox and the account, which are thread-safe.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from fanlight.common import transport
from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.model.control import ControlMessage
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import EncodedFrame, FrameHeader
from fanlight.common.model.pixels import Pixels
from fanlight.common.shm import folder
from fanlight.common.shm.names import RingName, source_of
from fanlight.common.shm.reader import SharedPicture
from fanlight.consumer.account import MOST_NOTED, Account, Shown
from fanlight.consumer.frame import Frame
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import MOST_DECODED_AHEAD, Dropped, LatestPlayout, Playout, SyncPlayout
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.route import Route
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode, Via
from fanlight.consumer.stats import ConsumerStats, Details, Event, Outcome
from fanlight.consumer.stream_way import StreamWay

_STOP_S = 1.5
_FOR_GOOD_S = 3600.0
_LONGEST_PAUSE_NS = 100_000_000
# After a shared frame is shown, and at most such a share of a frame interval.
_LET_SHOW_S = 0.006
_LET_SHOW_SHARE = 0.2
# What the constructor of a named tuple calls; see `common.shm.reader`.
_new = tuple.__new__


class Reception:
    """Receives one stream until it is stopped. `take` belongs to one thread, the presenting one.

    Args:
        on_encoded: given every frame whose references came, in order; from the receiving thread.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        on_encoded: Callable[[EncodedFrame], None] | None = None,
    ) -> None:
        self._max_age_ns = int(settings.max_age_s * 1e9)
        self._account = Account()
        self._note = self._account.shown.append
        self._clock = ProducerClock(self._max_age_ns, self._ask_the_time)
        self._mailbox = Mailbox(_playout(settings), self._dropped, self._clock.now_ns)
        self._receiver = Receiver(
            settings,
            send=self._send,
            clock=self._clock,
            mailbox=self._mailbox,
            account=self._account,
            on_failed=self._failed,
            on_encoded=on_encoded,
        )
        ring = None
        if settings.way is not Via.BROKER and folder.can_share():
            ring = RingName(settings.stream, settings.form, source_of(settings.address))
        self._route = Route(
            settings,
            ring,
            StreamWay(
                settings.form, self._mailbox, self._receiver, self._clock, self._account, self._present
            ),
            self._receiver,
            self._account,
            self._present,
            follow=self._follow,
        )
        self._subscriber = transport.subscriber(
            settings.url,
            settings.access,
            stream=settings.stream,
            name=settings.name,
            max_age_s=settings.max_age_s,
            events=self._receiver,
            follow=self._route.follows_stream,
            trust=settings.trust,
            limits=settings.limits,
        )
        self._failure: FanlightError | None = None
        self._held: SharedPicture | None = None
        self._lost = 0
        self._let_show_s = 0.0
        self._pause = threading.Lock()
        self._pause.acquire()

    @property
    def failure(self) -> FanlightError | None:
        """Why it ended by itself; None while it runs and after an orderly end."""
        return self._failure

    @property
    def ended(self) -> bool:
        """True once no more frames will come."""
        return self._mailbox.closed

    def on_outcome(self, told: Callable[[Outcome], None]) -> None:
        """Have the fate of every frame that arrives told, by either thread. To be called before `start`."""
        self._account.on_outcome = told

    def settle(self) -> None:
        """Have what was presented so far counted and told."""
        self._account.settle()

    def start(self) -> None:
        """Start receiving; returns at once."""
        self._subscriber.start()

    def stop(self) -> None:
        """Unsubscribe and end, within 2 s. Safe to call twice, and from any thread."""
        self._mailbox.close()
        self._subscriber.stop(_STOP_S)

    def stats(self) -> ConsumerStats:
        """The figures as they stand."""
        return self._account.stats()

    def details(self) -> Details:
        """Everything that is counted, as it stands."""
        return self._account.details()

    @property
    def held(self) -> int:
        """How many frames wait here for their turn."""
        return self._mailbox.held

    @property
    def waiting(self) -> int | None:
        """How many messages wait at the broker; None if not known, or `count_waiting` was not called."""
        return self._subscriber.waiting

    def count_waiting(self) -> None:
        """Ask the broker for that, once a second. To be called before `start`."""
        self._subscriber.count_waiting()

    def take(self, timeout_s: float | None = None) -> Frame | None:
        """The next frame to show, when it is time; None if none is in `timeout_s`, or none will be.

        The frame counts as presented with its return.
        """
        if self._let_show_s:
            self.let_others_show()
        held, self._held = self._held, None
        if held is not None and not held.valid:
            self._account.meters.overstayed()
        if len(self._account.shown) >= MOST_NOTED:
            self._account.settle()
        left_s = _FOR_GOOD_S if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + left_s
        take = self._route.take
        while True:
            frame = take(left_s)
            if frame is not None and not self._mailbox.closed:
                return frame
            left_s = deadline_s - time.monotonic()
            if self._mailbox.closed or left_s <= 0:
                return None

    def _present(
        self,
        header: FrameHeader,
        image: Pixels,
        received_ns: int,
        captured_ns: int,
        due_ns: int | None,
        lost: int,
        picture: SharedPicture | None = None,
    ) -> Frame | None:
        """See `Present`."""
        now_ns = monotonic_ns()
        if due_ns is not None and due_ns > now_ns:
            if picture is not None:
                # All the others wait for the same moment: what is left to do afterwards can wait.
                self._let_show_s = min(_LET_SHOW_S, _LET_SHOW_SHARE / header.fps)
            self._pause.acquire(timeout=min(due_ns - now_ns, _LONGEST_PAUSE_NS) / 1e9)
            now_ns = monotonic_ns()
        age_ns = now_ns - captured_ns
        if age_ns > self._max_age_ns or (picture is not None and not picture.valid):
            account = self._account
            if picture is not None:
                account.arrived(header, 0, received_ns)
            account.dropped(header, received_ns, Event.LATE)
            return None
        presented_ns = wall_ns()
        skew_ns = None if due_ns is None else now_ns - due_ns
        shared = picture is not None
        self._note(_new(Shown, (header, received_ns, presented_ns, age_ns, skew_ns, now_ns, shared)))
        self._held = picture
        lost_before, self._lost = self._lost, lost
        lost -= lost_before
        return _new(Frame, (image, header, received_ns, presented_ns, age_ns / 1e9, lost, picture))

    def let_others_show(self) -> None:
        """All screens of this host show the same shared frame now: what is left to do here can wait.

        To be called as soon as a frame is shown; without effect but for shared frames under `sync`.
        """
        pause_s, self._let_show_s = self._let_show_s, 0.0
        if pause_s:
            self._pause.acquire(timeout=pause_s)

    def _follow(self, follow: bool) -> None:
        self._subscriber.follow_stream(follow)

    def _send(self, message: ControlMessage) -> None:
        self._subscriber.send(message)

    def _ask_the_time(self) -> None:
        self._receiver.ask_the_time()

    def _failed(self, error: FanlightError) -> None:
        self._failure = error
        self._mailbox.close()

    def _dropped(self, dropped: Dropped) -> None:
        self._account.dropped(dropped.frame.header, dropped.frame.received_ns, dropped.event)


def _playout(settings: ConsumerSettings) -> Playout:
    max_age_ns = int(settings.max_age_s * 1e9)
    if settings.playout is PlayoutMode.SYNC:
        # Jitter only: nothing here is a secret.
        decoded_ahead = random.randint(2, MOST_DECODED_AHEAD)  # noqa: S311
        return SyncPlayout(int(settings.delay_s * 1e9), max_age_ns, decoded_ahead)
    return LatestPlayout(max_age_ns)
