"""Receives: what arrives is judged and left for presentation, still encoded.

Runs in the subscriber's thread, which must stay free to receive: nothing is decoded here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.control import (
    ClockReply,
    ClockRequest,
    ControlMessage,
    KeyframeRequest,
    Reason,
    ReceiverReport,
)
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.freshness import FreshnessPolicy, Verdict
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.transport import SubscriberEvents
from fanlight.consumer.account import Account
from fanlight.consumer.lag_detector import Figures, LagDetector
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import Arrived
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stats import ConsumerStats, Event

_LOG = logging.getLogger(__name__)

_DROPS: Final = {
    Verdict.DROP_LATE: Event.LATE,
    Verdict.DROP_AWAITING_KEY: Event.AWAITING_KEY,
}

_TOO_SLOW: Final = (
    "this machine is too slow for all that it decodes: %.0f of %.0f frames per second are shown; a hub "
    "(--sink share), smaller pictures (the producer's --size) or, under sync, a longer --delay would help"
)


class Receiver(SubscriberEvents):
    """Follows one stream: the `SubscriberEvents` of a consumer. `pause`, `resume` and `broken` belong to
    the presenting thread.

    Args:
        send: sends a message to the producer. Thread-safe.
        on_failed: told why there will be no subscription.
        on_encoded: given every frame whose references came, in order.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        send: Callable[[ControlMessage], None],
        clock: ProducerClock,
        mailbox: Mailbox,
        account: Account,
        on_failed: Callable[[FanlightError], None],
        on_encoded: Callable[[EncodedFrame], None] | None = None,
    ) -> None:
        self._settings = settings
        self._send = send
        self._clock = clock
        self._mailbox = mailbox
        self._account = account
        self._on_encoded = on_encoded
        self._on_failed = on_failed
        # Guards the policy, and `_paused` with it.
        self._judging = threading.Lock()
        self._policy = FreshnessPolicy(int(settings.max_age_s * 1e9))
        self._paused = False
        self._last: tuple[int, int] | None = None
        self._joining = False
        self._lag = LagDetector()
        self._complaints = RateLimiter()

    # What the presenting thread says.

    def pause(self) -> tuple[int, int] | None:
        """Frames come from a hub: take no more from the stream. The (epoch, seq) that came last, if any."""
        with self._judging:
            self._paused = True
            return self._last

    def resume(self, last: tuple[int, int] | None) -> None:
        """Take frames from the stream again, behind the (epoch, seq) that a hub brought last."""
        with self._judging:
            self._paused = False
            if last is not None:
                self._last = last
                self._policy.adopt(*last, monotonic_ns())

    def refuses(self, epoch: int) -> bool:
        """Whether a hub's frames of this epoch are those of a producer that was left for another one."""
        with self._judging:
            return self._policy.refuses(epoch, monotonic_ns())

    def broken(self, reason: Reason) -> None:
        """References are missing: wait for a keyframe, and ask for one. Thread-safe."""
        with self._judging:
            asks = self._policy.broken(monotonic_ns())
        if asks:
            self._request_key(reason)

    # What the subscriber tells.

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> None:
        header = frame.header
        self._clock.on_frame(header)
        age_ns = self._clock.now_ns() - header.capture_ns
        with self._judging:
            if self._paused:
                return  # it comes from the hub as well
            decision = self._policy.offer(header, age_ns=age_ns, now_ns=monotonic_ns())
            if decision.verdict is not Verdict.DROP_REPEATED:
                self._last = (header.epoch, header.seq)
        if decision.verdict is Verdict.DROP_REPEATED:
            # Who joins anew without a broker gets the frames since the last keyframe: some it has had.
            if not self._joining:
                self._account.duplicate(header, received_ns)
                self._warn(
                    "frame %d of epoch %x came out of order: is there a second producer?",
                    header.seq,
                    header.epoch,
                )
            return
        self._joining = False
        self._account.arrived(header, len(frame.body), received_ns)
        if decision.lost:
            self._account.missed(decision.lost)
        if decision.request_key:
            self._request_key(Reason.GAP)
        if self._on_encoded is not None and decision.verdict is not Verdict.DROP_AWAITING_KEY:
            self._on_encoded(frame)
        if decision.verdict in _DROPS:
            self._account.dropped(header, received_ns, _DROPS[decision.verdict])
            return
        showable = decision.verdict is Verdict.SHOW
        if not showable:
            self._account.dropped(header, received_ns, Event.LATE)
        if not self._mailbox.push(
            Arrived(frame, received_ns, self._account.lost, decision.reset, showable)
        ):
            self.broken(Reason.GAP)

    def on_malformed(self, error: WireFormatError) -> None:
        self._account.meters.malformed()
        self._warn("message refused: %s", error)

    def on_failed(self, error: FanlightError) -> None:
        self._on_failed(error)

    def on_connected(self) -> None:
        self._account.meters.connection(up=True)
        if not self._paused:
            self.on_following()

    def on_following(self) -> None:
        # An idle producer wakes, a busy one sends a keyframe.
        self._joining = True
        with self._judging:
            self._policy.asked(monotonic_ns())
        self._request_key(Reason.JOIN)

    def on_disconnected(self) -> None:
        if not self._mailbox.closed:
            self._account.meters.connection(up=False)

    def on_blocked(self, blocked: bool) -> None:
        self._account.meters.blocked(blocked)

    def on_clock(self, reply: ClockReply) -> None:
        self._clock.on_reply(reply)

    def on_tick(self) -> None:
        stats = self._account.stats()
        self._send(_report(self._settings, stats))
        decoding_s = self._account.meters.decoding.snapshot().total
        figures = Figures(stats.received, stats.superseded + stats.late, decoding_s)
        lag = self._lag.observe(figures, monotonic_ns() / 1e9)
        if lag is not None:
            _LOG.warning(_TOO_SLOW, *lag)
        self._clock.on_tick()

    def ask_the_time(self) -> None:
        """Send a `ClockRequest`; `on_clock` gets the answer."""
        settings = self._settings
        self._send(ClockRequest(stream=settings.stream, name=settings.name, asked_ns=monotonic_ns()))

    def _request_key(self, reason: Reason) -> None:
        self._account.meters.keyframe_requested()
        settings = self._settings
        self._send(KeyframeRequest(stream=settings.stream, name=settings.name, reason=reason))

    def _warn(self, message: str, *details: object) -> None:
        held_back = self._complaints.allow(monotonic_ns())
        if held_back is not None:
            suffix = f" (and {held_back} more like it)" if held_back else ""
            _LOG.warning(message + "%s", *details, suffix)


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
