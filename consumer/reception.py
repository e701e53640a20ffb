"""One consumer's subscription, receiver and mailbox, put together; frames come out of `take`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from common import clocksync, fanout
from common.clock import monotonic_ns, wall_ns
from common.control import ClockReply, ClockRequest, KeyframeRequest, Reason, ReceiverReport
from common.errors import FanlightError, SharingError, WireFormatError
from common.frame import Codec, EncodedFrame
from common.pixels import Pixels
from common.sharing import hosts
from common.sharing.reader import SharedPicture
from consumer.changeover import LOOK_AFTER_S, Changeover, Via
from consumer.clockdoubt import ClockDoubt
from consumer.decoding import Decoding
from consumer.frame import Frame
from consumer.mailbox import Mailbox
from consumer.playout import MOST_DECODED_AHEAD, Arrived, Dropped, LatestPlayout, Playout, SyncPlayout
from consumer.receiver import Receiver
from consumer.settings import ConsumerSettings, PlayoutMode
from consumer.shared import SharedPictures
from consumer.stats import ConsumerStats, Details, Event, Meters, Outcome

_STOP_S = 1.5
_FOR_GOOD = 3600.0
# In frame intervals. Between two moments of display one wake-up is enough for all that came meanwhile.
_SHARED_AHEAD = 0.75
_LONGEST_PAUSE_NS = 100_000_000
# After a shared frame is shown, and at most such a share of a frame interval.
_LET_SHOW_S = 0.006
_LET_SHOW_SHARE = 0.2
_FIRST_TICKS = 5
_LATER_TICKS = 5


class _HandedOut(NamedTuple):
    """The frame that was presented last, while that is not yet counted."""

    arrived: Arrived
    picture: SharedPicture | None
    now_ns: int
    due_ns: int | None
    presented_ns: int


class Reception:
    """Receives one stream until it is stopped. `take` belongs to one thread, the presenting one.

    Args:
        on_outcome: told the fate of every frame that arrived; from either thread, must not wait.
        on_encoded: given every frame whose references came, in order; from the receiving thread.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        on_outcome: Callable[[Outcome], None] = lambda _outcome: None,
        on_encoded: Callable[[EncodedFrame], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_outcome = on_outcome
        self._max_age_ns = int(settings.max_age_s * 1e9)
        self._meters = Meters()
        self._clock = clocksync.ClockSync()
        self._doubt = ClockDoubt(self._max_age_ns)
        host = hosts.host_id()
        share = settings.share_name(host) if host is not None and settings.way is not Via.BROKER else None
        self._changeover = Changeover(
            Via.BROKER if share is None else settings.way,
            hub_there=share is not None and bool(hosts.live_segments(settings.stream, settings.form)),
        )
        needed_s = settings.delay_s if settings.playout is PlayoutMode.SYNC else 0.0
        self._shared = SharedPictures(settings.stream, settings.form, needed_s)
        self._held: SharedPicture | None = None
        self._handed_out: _HandedOut | None = None
        self._accounting = threading.Lock()
        self._pause = threading.Lock()
        self._pause.acquire()
        self._let_show_s = 0.0
        # Without a hub to look for, a wait has no end of its own.
        self._patience_s = LOOK_AFTER_S if self._changeover.looks_for_hub else _FOR_GOOD
        self._subscriber = fanout.subscriber(
            settings.url,
            settings.access,
            stream=settings.stream,
            name=settings.name,
            max_age_s=settings.max_age_s,
            events=self,
            share=share,
            follow=self._changeover.follows_stream,
            trust=settings.trust,
            limits=settings.limits,
        )
        self._mailbox = Mailbox(
            _playout(settings),
            self._dropped,
            self._now_ns,
            wait=self._subscriber.work,
            wake=self._subscriber.wake,
        )
        self._receiver = Receiver(
            max_age_s=settings.max_age_s,
            now_ns=self._now_ns,
            mailbox=self._mailbox,
            meters=self._meters,
            request_key=self._request_key,
            on_outcome=on_outcome,
            on_encoded=on_encoded,
        )
        self._decoding = Decoding(
            settings.form, lambda: self._receiver.broken(Reason.DECODE_ERROR), self._meters.decoding
        )
        self._failure: FanlightError | None = None
        self._epoch: int | None = None
        self._highest_seq = -1
        self._highest_shared = False
        self._lost_presented = 0
        self._ticks = 0
        self._rests = True  # no decoder until there is something to decode

    @property
    def failure(self) -> FanlightError | None:
        """Why it ended by itself; None while it runs and after an orderly end."""
        return self._failure

    @property
    def ended(self) -> bool:
        """True once no more frames will come."""
        return self._mailbox.closed

    def start(self) -> None:
        """Start receiving; returns at once."""
        self._subscriber.start()

    def stop(self) -> None:
        """Unsubscribe and end, within 2 s. Safe to call twice, and from any thread."""
        self._mailbox.close()
        self._subscriber.stop(_STOP_S)
        self._account()

    def interrupt(self) -> None:
        """Make a blocked `take` return. Thread-safe."""
        self._mailbox.close()

    def stats(self) -> ConsumerStats:
        """The figures as they stand."""
        self._account()
        return self._meters.snapshot(monotonic_ns())

    def details(self) -> Details:
        """Everything that is counted, as it stands."""
        self._account()
        return self._meters.details(monotonic_ns())

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
        if self._handed_out is not None:
            self.let_others_show()
            self._account()
        if self._held is not None:
            self._given_back(self._held)
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            turn = self._mailbox.take(
                self._patience_s if timeout_s is None else min(timeout_s, self._patience_s)
            )
            for referred_to in turn.decode:
                self._decoding.skip(referred_to)
            if turn.frame is not None:
                return self._present(turn.frame, turn.due_ns)
            if turn.upcoming is not None:
                self._decoding.prepare(turn.upcoming)
            elif turn.ahead is not None:
                self._decoding.decode_ahead(turn.ahead)
            elif not turn.decode:
                self._look_for_hub()
                if self.ended or (deadline_s is not None and time.monotonic() >= deadline_s):
                    return None
            if deadline_s is not None:
                timeout_s = max(0.0, deadline_s - time.monotonic())

    def _look_for_hub(self) -> None:
        changeover = self._changeover
        if changeover.follows_stream or not changeover.looks_for_hub:
            return
        shared = self._shared
        if changeover.silence(monotonic_ns(), hub_alive=shared.alive, beat_ns=shared.beat_ns):
            self._subscriber.follow_stream(True)

    def _given_back(self, picture: SharedPicture) -> None:
        self._held = None
        if not picture.valid:
            self._meters.overstayed()

    def _pixels(self, arrived: Arrived) -> tuple[Pixels | Event, SharedPicture | None]:
        if arrived.frame.header.codec is not Codec.SHARED:
            self._rests = False
            return self._decoding.pixels(arrived), None
        try:
            picture = self._shared.picture(arrived.frame)
        except SharingError as error:
            self._receiver.complain(error)
            return Event.UNDECODABLE, None
        if not self._rests:
            self._rests = True
            self._decoding.rest()
        return (Event.LATE, None) if picture is None else (picture.image, picture)

    def _present(self, arrived: Arrived, due_ns: int | None) -> Frame | None:
        image, picture = self._pixels(arrived)
        if isinstance(image, Event):
            self._dropped(Dropped(arrived, image))
            return None
        header = arrived.frame.header
        lost = arrived.lost_before - self._lost_presented
        self._let_show_s = 0.0
        now_ns = self._now_ns()
        if due_ns is not None and due_ns > now_ns:
            # From here to the hand-over every instruction counts: all the others wait for the same moment.
            self._let_show_s = min(_LET_SHOW_S, _LET_SHOW_SHARE / header.fps)
            self._pause.acquire(timeout=min(due_ns - now_ns, _LONGEST_PAUSE_NS) / 1e9)
            now_ns = self._now_ns()
        age_ns = now_ns - header.capture_ns
        known = age_ns <= self._max_age_ns and self._doubt.believes(age_ns, monotonic_ns())
        if not known or (picture is not None and not picture.valid):
            self._dropped(Dropped(arrived, Event.LATE))
            return None
        presented_ns = wall_ns()
        self._held = picture
        self._handed_out = _HandedOut(arrived, picture, now_ns, due_ns, presented_ns)
        return Frame(image, header, arrived.received_ns, presented_ns, age_ns / 1e9, lost, picture)

    def let_others_show(self) -> None:
        """All screens of this host show the same shared frame now: what is left to do here can wait.

        To be called as soon as a frame is shown; without effect but for shared frames under `sync`.
        """
        pause_s, self._let_show_s = self._let_show_s, 0.0
        if pause_s:
            self._pause.acquire(timeout=pause_s)

    def _account(self) -> None:
        """Count the frame that was handed out last; once."""
        with self._accounting:
            handed_out, self._handed_out = self._handed_out, None
        if handed_out is None:
            return
        arrived, picture, now_ns, due_ns, presented_ns = handed_out
        header = arrived.frame.header
        self._lost_presented = arrived.lost_before
        self._meters.presented(
            age_s=(now_ns - header.capture_ns) / 1e9,
            skew_s=None if due_ns is None else (now_ns - due_ns) / 1e9,
            now_ns=monotonic_ns(),
            shared=picture is not None,
        )
        self._on_outcome(
            Outcome(header.seq, header.capture_ns, arrived.received_ns, presented_ns, Event.PRESENTED)
        )

    def _dropped(self, dropped: Dropped) -> None:
        self._meters.ended(dropped.event)
        header = dropped.frame.header
        self._on_outcome(
            Outcome(header.seq, header.capture_ns, dropped.frame.received_ns, None, dropped.event)
        )

    # What the subscriber tells, in its own thread.

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> None:
        header = frame.header
        shared = header.codec is Codec.SHARED
        if shared:
            if not self._shared.usable(frame):
                return
            if self._changeover.referred():
                self._subscriber.follow_stream(False)
        if header.epoch != self._epoch:
            # Another producer, perhaps on another host: what was learnt of its clock is worth nothing.
            self._epoch = header.epoch
            self._ticks = 0
            self._clock.restart()
            self._doubt.restart()
            self._ask_the_time()
        elif shared is not self._highest_shared and header.seq <= self._highest_seq:
            return  # while one way takes over from the other a frame may come by both
        if self._doubt.asks(self._now_ns() - header.capture_ns, monotonic_ns()):
            self._ask_the_time()
        self._highest_seq = header.seq
        self._highest_shared = shared
        self._receiver.on_frame(frame, received_ns)

    def on_clock(self, reply: ClockReply) -> None:
        now_ns = monotonic_ns()
        sample = clocksync.sample(reply.asked_ns, reply.received_ns, reply.replied_ns, now_ns)
        if sample is not None:
            self._clock.observe(sample, wall_ns=wall_ns(), monotonic_ns=now_ns)
            self._doubt.answered(reply.asked_ns)

    def on_malformed(self, error: WireFormatError) -> None:
        self._receiver.on_malformed(error)

    def on_connected(self) -> None:
        self._meters.connection(up=True)
        self._changeover.joined(monotonic_ns())
        if self._changeover.follows_stream:
            self._receiver.on_joined()

    def on_following(self) -> None:
        self._receiver.on_joined()

    def on_disconnected(self) -> None:
        if self.ended:
            return
        self._meters.connection(up=False)

    def on_blocked(self, blocked: bool) -> None:
        self._meters.blocked(blocked)

    def on_failed(self, error: FanlightError) -> None:
        self._failure = error
        self._mailbox.close()

    def on_tick(self) -> None:
        self._subscriber.send(_report(self._settings, self.stats()))
        self._ticks += 1
        # Where the clocks agree, as they do on one host, a look now and then is enough.
        if self._clock.base_ns is not None or self._ticks < _FIRST_TICKS or self._ticks % _LATER_TICKS == 0:
            self._ask_the_time()

    def _ask_the_time(self) -> None:
        self._subscriber.send(
            ClockRequest(stream=self._settings.stream, name=self._settings.name, asked_ns=monotonic_ns())
        )

    def _now_ns(self) -> int:
        """Now, by the producer's wall clock."""
        base_ns = self._clock.base_ns
        return wall_ns() if base_ns is None else monotonic_ns() + base_ns

    def _request_key(self, reason: Reason) -> None:
        self._meters.keyframe_requested()
        self._subscriber.send(
            KeyframeRequest(stream=self._settings.stream, name=self._settings.name, reason=reason)
        )


def _playout(settings: ConsumerSettings) -> Playout:
    max_age_ns = int(settings.max_age_s * 1e9)
    if settings.playout is PlayoutMode.SYNC:
        # Jitter only: nothing here is a secret.
        decoded_ahead = random.randint(2, MOST_DECODED_AHEAD)  # noqa: S311
        return SyncPlayout(int(settings.delay_s * 1e9), max_age_ns, decoded_ahead, _SHARED_AHEAD)
    return LatestPlayout(max_age_ns)


def _report(settings: ConsumerSettings, stats: ConsumerStats) -> ReceiverReport:
    def milliseconds(seconds: float | None, nothing: float) -> float:
        return nothing if seconds is None else round(seconds * 1000, 3)

    return ReceiverReport(
        stream=settings.stream,
        name=settings.name,
        epoch=stats.epoch,
        highest_seq=stats.highest_seq,
        received=stats.received,
        lost=stats.lost,
        presented=stats.presented,
        late=stats.late,
        age_p50_ms=milliseconds(stats.age_p50_s, -1.0),
        age_p99_ms=milliseconds(stats.age_p99_s, -1.0),
        jitter_ms=milliseconds(stats.jitter_s, 0.0),
        playout_skew_ms=milliseconds(stats.skew_p50_s, 0.0),
    )
