"""Receives the stream: admits or drops each frame on arrival, and queues it, still encoded.

Runs on the subscriber's thread, which must not block: nothing is decoded here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.bye import Bye
from fanlight.common.model.control import (
    UNREPORTED_EPOCH_BITS,
    ClockReply,
    ClockRequest,
    ControlMessage,
    KeyframeRequest,
    Reason,
    ReceiverReport,
)
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import EncodedFrame, FrameHeader
from fanlight.common.model.freshness import Decision, FreshnessPolicy, Verdict
from fanlight.common.model.lag_detector import LagDetector
from fanlight.common.transport import SubscriberEvents
from fanlight.consumer.playout import ReceivedFrame
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.stall_log import StallLog
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats, Outcome

_LOG: Final = logging.getLogger(__name__)

_DROPS: Final = {
    Verdict.DROP_LATE: Outcome.LATE,
    Verdict.DROP_AWAITING_KEY: Outcome.AWAITING_KEY,
}

_OTHERS_INTERVAL_NS: Final = 10_000_000_000
_ANOTHER_PRODUCER: Final = (
    "another producer publishes stream %s, too: only the one that began last is shown; end one of them, "
    "or give it another --stream"
)
_TOO_SLOW: Final = (
    "this machine is too slow for all that it decodes: %.0f of %.0f frames per second are shown; a hub "
    "(--sink share), smaller pictures (the producer's --size) or, under sync, a longer --delay would help"
)


class Admission:
    """The freshness policy of one stream; paused while a hub provides the frames. Thread-safe.

    All `now_ns` are monotonic.
    """

    def __init__(self, max_age_ns: int) -> None:
        self._lock = threading.Lock()
        self._policy = FreshnessPolicy(max_age_ns)
        self._last: tuple[int, int] | None = None
        # `_last` when the stream ended, so that any further frame makes that void.
        self._ended_after: tuple[tuple[int, int] | None] | None = None
        self.paused = False

    def offer(self, header: FrameHeader, *, age_ns: int, now_ns: int) -> Decision | None:
        """Apply the policy to a frame; None while paused."""
        with self._lock:
            if self.paused:
                return None
            decision = self._policy.offer(header, age_ns=age_ns, now_ns=now_ns)
            if decision.verdict is not Verdict.DROP_DUPLICATE:
                self._last = (header.epoch, header.seq)
            return decision

    def pause(self) -> tuple[int, int] | None:
        """Drop all frames, since a hub provides them; the (epoch, seq) of the last frame, if any."""
        with self._lock:
            self.paused = True
            return self._last

    def resume(self, last: tuple[int, int] | None, now_ns: int, *, ended: bool = False) -> None:
        """Admit frames again, after the (epoch, seq) of a hub's last frame; `ended`: no more will come."""
        with self._lock:
            self.paused = False
            if last is not None:
                self._last = last
                self._policy.adopt(*last, now_ns)
            if ended:
                self._ended_after = (self._last,)

    def end(self, bye: Bye, now_ns: int) -> int | None:
        """The number of frames lost at the end of the stream; None if this is not its end."""
        with self._lock:
            lost = None if self.paused else self._policy.ended(bye.epoch, bye.seq, now_ns)
            if lost is not None:
                self._ended_after = (self._last,)
            return lost

    @property
    def ended(self) -> bool:
        """Whether the producer of the last frame has ended in good order."""
        ended_after = self._ended_after
        return ended_after is not None and ended_after[0] is self._last

    def refuses(self, epoch: int, now_ns: int) -> bool:
        """Whether a hub's frames of this epoch are from a producer that another one has replaced."""
        with self._lock:
            return self._policy.refuses(epoch, now_ns)

    def requested(self, now_ns: int) -> None:
        """A keyframe is requested independently of the policy, on a join."""
        with self._lock:
            self._policy.asked(now_ns)

    def broken(self, now_ns: int) -> bool:
        """References are missing: drop frames until a keyframe. True if one is to be requested now."""
        with self._lock:
            return self._policy.broken(now_ns)


class Received(Protocol):
    """Where a receiver puts frames: a `Mailbox`, or what passes them on. Thread-safe."""

    closed: bool

    def push(self, frame: ReceivedFrame) -> bool:
        """Take a frame. False if no frame can be shown before the next keyframe."""
        ...


class Receiver(SubscriberEvents):
    """Handles the `SubscriberEvents` of a consumer. `broken` and `request_key` are thread-safe.

    Args:
        send: sends a message to the producer. Thread-safe.
        on_failed: called with the error if the subscription fails permanently.
        on_encoded: called with every decodable frame, in order.
        on_ended: called when the stream has ended in good order: see `Admission.ended`.
        waits: whether frames should come: a member of a pool gets none while its program works.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        send: Callable[[ControlMessage], None],
        clock: ProducerClock,
        mailbox: Received,
        counters: ConsumerCounters,
        on_failed: Callable[[FanlightError], None],
        on_encoded: Callable[[EncodedFrame], None] | None = None,
        on_ended: Callable[[], None] = lambda: None,
        waits: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings = settings
        # Of a pool: what other members get is not lost, and what one has left comes again.
        self._shares = settings.pool is not None
        self._waits = waits
        self._send = send
        self.clock = clock
        self._mailbox = mailbox
        self._counters = counters
        self._on_encoded = on_encoded
        self._on_failed = on_failed
        self._on_ended = on_ended
        self.admission = Admission(int(settings.max_age_s * 1e9))
        self._joining = False
        self._received = 0
        self._lag = LagDetector()
        self._stall_log = StallLog(settings, counters)
        self._log = LimitedLog(_LOG)
        self._others = LimitedLog(_LOG, _OTHERS_INTERVAL_NS)
        self._ends = LimitedLog(_LOG, level=logging.INFO)

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> bool:
        header = frame.header
        age_ns, now_ns = self.clock.now_ns() - header.capture_ns, self.clock.monotonic_ns()
        decision = self.admission.offer(header, age_ns=age_ns, now_ns=now_ns)
        if decision is None:
            return False
        verdict = decision.verdict
        if verdict is Verdict.DROP_DUPLICATE:
            # Without a broker a new connection repeats the frames since the last keyframe.
            if not self._joining:
                self._counters.duplicate(header, received_ns)
                stream = self._settings.stream
                if self.admission.refuses(header.epoch, now_ns):
                    self._others.warn(now_ns, _ANOTHER_PRODUCER, stream)
                elif not self._shares:
                    self._log.warn(now_ns, "a frame of stream %s came again, or out of order", stream)
            return False
        self.clock.on_frame(header)
        self._joining = False
        self._counters.received(header, len(frame.body), received_ns)
        if decision.lost and not self._shares:
            self._counters.count("lost", decision.lost)
        if decision.request_key:
            self.request_key(Reason.GAP)
        if self._on_encoded is not None and verdict is not Verdict.DROP_AWAITING_KEY:
            self._on_encoded(frame)
        if verdict in _DROPS:
            self._counters.dropped(header, received_ns, _DROPS[verdict])
            return False
        showable = verdict is Verdict.SHOW
        if not showable:
            self._counters.dropped(header, received_ns, Outcome.LATE)
        received = ReceivedFrame(frame, received_ns, self._counters.lost, decision.reset, showable)
        if not self._mailbox.push(received):
            self.broken(Reason.GAP)
        return True

    def broken(self, reason: Reason) -> None:
        """Drop frames until a keyframe, and request one, since references are missing."""
        if self.admission.broken(self.clock.monotonic_ns()):
            self.request_key(reason)

    def on_malformed(self, error: WireFormatError) -> None:
        self._counters.count("malformed")
        self._counters.last_error = error
        self._log.warn(self.clock.monotonic_ns(), "message refused: %s", error)

    def on_ended(self, bye: Bye) -> None:
        now_ns = self.clock.monotonic_ns()
        lost = None if self.admission.ended else self.admission.end(bye, now_ns)
        if lost is None:
            return
        if lost and not self._shares:
            self._counters.count("lost", lost)
        self._counters.ended(now_ns)
        self._ends.warn(now_ns, "stream %s has ended", self._settings.stream)
        self._on_ended()

    def on_failed(self, error: FanlightError) -> None:
        self._on_failed(error)

    def on_connected(self) -> None:
        self._counters.connection(up=True)
        self._stall_log.restart(self.clock.monotonic_ns())
        if not self.admission.paused:
            self.on_following()

    def on_following(self) -> None:
        # Resumes an unwatched producer; a watched one sends a keyframe.
        if self._shares:
            return  # every frame of a pool stands alone
        self._joining = True
        self.admission.requested(self.clock.monotonic_ns())
        self.request_key(Reason.JOIN)

    def on_disconnected(self) -> None:
        if not self._mailbox.closed:
            self._counters.connection(up=False)

    def on_blocked(self, blocked: bool) -> None:
        self._counters.blocked(blocked)

    def on_clock(self, reply: ClockReply) -> None:
        self._counters.presence.sign(self.clock.monotonic_ns())
        self.clock.on_reply(reply)

    def on_tick(self) -> None:
        now_ns = self.clock.monotonic_ns()
        stats = self._counters.stats(now_ns)
        self._send(_report(self._settings, stats))
        if self._waits():
            self._stall_log.observe(stats, now_ns)
        else:
            self._stall_log.restart(now_ns)
        skipped, decoding_s = stats.superseded + stats.late, self._counters.decoding.snapshot().total
        lag = self._lag.observe(stats.received, skipped, decoding_s, now_ns / 1e9)
        if lag is not None:
            _LOG.warning(_TOO_SLOW, lag.shown_fps, lag.stream_fps)
        # The answer tells that the producer is there, although no frame came.
        self.clock.on_tick(ask=stats.received == self._received)
        self._received = stats.received

    def request_time(self) -> None:
        """Send a `ClockRequest`; `on_clock` receives the reply."""
        now_ns, settings = self.clock.monotonic_ns(), self._settings
        self._send(ClockRequest(stream=settings.stream, name=settings.name, asked_ns=now_ns))

    def request_key(self, reason: Reason) -> None:
        """Send a `KeyframeRequest`. Thread-safe."""
        self._counters.count("keyframe_requests")
        settings = self._settings
        self._send(KeyframeRequest(stream=settings.stream, name=settings.name, reason=reason))


def _report(settings: ConsumerSettings, stats: ConsumerStats) -> ReceiverReport:
    def milliseconds(seconds: float | None, nothing: float) -> float:
        return nothing if seconds is None else round(seconds * 1000, 3)

    return ReceiverReport(
        stream=settings.stream,
        name=settings.name,
        epoch=stats.epoch >> UNREPORTED_EPOCH_BITS,
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
