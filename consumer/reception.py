"""Assembles a consumer: frames are received on the subscriber's thread, and presented by `take`.

The subscriber's thread runs `Receiver`; the thread that calls `take` runs `Route`, its two sources, which
decode, and `Delivery`. Both use the mailbox and the counters, which are thread-safe.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fanlight.common import transport
from fanlight.common.clock import monotonic_ns
from fanlight.common.model.control import ControlMessage, Reason
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.result import Result
from fanlight.common.shm import private_folder
from fanlight.common.shm.names import RingName, source_of
from fanlight.common.shm.reader import Attachment
from fanlight.consumer.delivery import Delivery, FramePixels
from fanlight.consumer.encoded_playout import EncodedPlayout
from fanlight.consumer.encoded_source import EncodedSource
from fanlight.consumer.frame import Frame
from fanlight.consumer.hub_source import HubSource
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import MOST_DECODED_AHEAD, Dropped, LatestPlayout, Playout, SyncPlayout
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.route import HubSearch, LastFrame, Route
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode, Via
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats
from fanlight.consumer.stream_source import StreamSource

if TYPE_CHECKING:
    from fanlight.consumer.results_reception import ResultsReception

_STOP_S: Final = 1.5
_FOR_EVER_S: Final = 3600.0


class Reception:
    """Receives one stream until it is stopped. `take` belongs to one thread, the presenting one.

    Args:
        on_encoded: called with every decodable frame, in order, on the receiving thread.
        on_found: called with every result of the wanted detectors, on the thread that receives them.
        pixels: what `Frame.image` is.
        delivery: creates the frames, with counters of its own; by default a new `Delivery`.
        decode: False to hand frames out as they came.

    Attributes:
        counters: the outcome of every frame.
        failure: why it ended by itself; None while it runs and after `stop`.
        over: whether it ended since the stream did, with `until_end`.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        on_encoded: Callable[[EncodedFrame], None] | None = None,
        on_found: Callable[[Result], None] | None = None,
        pixels: FramePixels = FramePixels.AS_DECODED,
        delivery: Delivery | None = None,
        decode: bool = True,
    ) -> None:
        max_age_ns = int(settings.max_age_s * 1e9)
        self._delivery = delivery or Delivery(max_age_ns, ConsumerCounters(), pixels=pixels)
        self.counters = self._delivery.counters
        self.failure: FanlightError | None = None
        self.over = False
        self._settings = settings
        self._results = self._results_reception(on_found)
        if self._results is not None:
            self._delivery.add_results(self._results.of)
        clock = ProducerClock(max_age_ns, self._request_time)
        playout = _playout(settings, self._results) if decode else EncodedPlayout(max_age_ns)
        self._mailbox = Mailbox(playout, self._dropped, clock.now_ns)
        self._receiver = Receiver(
            settings,
            send=self._send,
            clock=clock,
            mailbox=self._mailbox,
            counters=self.counters,
            on_failed=self._failed,
            on_encoded=on_encoded,
            on_ended=self._mailbox.interrupt,
            waits=lambda: self._member is None or self._member.asking,
        )
        source = StreamSource if decode else EncodedSource
        self._route = Route(
            self._hub_search() if decode else None,
            source(
                settings.picture_format,
                self._mailbox,
                self._receiver,
                self.counters,
                self._delivery,
                ask=None if settings.pool is None else self._ask,
            ),
            self._receiver.admission,
            self._attach,
            self._follow,
            only_hubs=settings.way is Via.HOST,
        )
        self._member: transport.PoolSubscriber | None = None
        self._subscriber = self._new_subscriber(settings)

    def _new_subscriber(self, settings: ConsumerSettings) -> transport.Subscriber:
        if settings.pool is not None:
            self._member = transport.pool_subscriber(
                settings.url,
                settings.credentials,
                stream=settings.stream,
                pool=settings.pool,
                name=settings.name,
                max_age_s=settings.max_age_s,
                events=self._receiver,
                trust=settings.trust,
                limits=settings.limits,
                until_end=settings.until_end,
            )
            return self._member
        return transport.subscriber(
            settings.url,
            settings.credentials,
            stream=settings.stream,
            name=settings.name,
            max_age_s=settings.max_age_s,
            events=self._receiver,
            follow=self._route.follows_stream,
            trust=settings.trust,
            limits=settings.limits,
            until_end=settings.until_end or settings.shares,
        )

    @property
    def ended(self) -> bool:
        """True once no more frames will be presented."""
        return self._mailbox.closed

    @property
    def queued(self) -> int:
        """The number of frames in this process that wait until they are due."""
        return len(self._mailbox)

    @property
    def waiting(self) -> int | None:
        """The number of messages in the broker's queue; None if unknown, or without `count_waiting`."""
        return self._subscriber.waiting

    def count_waiting(self) -> None:
        """Update `waiting` once a second. Call before `start`."""
        self._subscriber.count_waiting()

    def start(self) -> None:
        """Start receiving; returns at once."""
        if self._results is not None:
            self._results.start()
        self._subscriber.start()

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Unsubscribe, and wait for the end of the thread. Idempotent and thread-safe."""
        deadline_s = time.monotonic() + timeout_s
        self._mailbox.close()
        if self._member is not None and not len(self._mailbox):
            self._member.leave()  # else the frame that nobody has taken goes to another member
        if self._results is not None:
            self._results.close()  # a broker that does not answer keeps both at once
        self._subscriber.stop(timeout_s)
        if self._results is not None:
            self._results.stop(max(0.1, deadline_s - time.monotonic()))

    def stats(self) -> ConsumerStats:
        """A snapshot of the statistics."""
        return self.counters.stats(monotonic_ns())

    def take(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for the next frame to present; None on a timeout, or once `ended`.

        The frame counts as presented when it is returned.
        """
        self._delivery.finish_last()
        left_s = _FOR_EVER_S if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + left_s
        take = self._route.take
        while True:
            try:
                frame = take(left_s)
            except BaseException:
                # Most likely of a signal handler: a frame may be lost, or half decoded.
                self._route.restart()
                raise
            if frame is not None and not self._mailbox.closed:
                return frame
            if frame is None and self._route.ended:
                self._stream_ended()
            left_s = deadline_s - time.monotonic()
            if self._mailbox.closed or left_s <= 0:
                return None

    def ended_in_order(self) -> bool:
        """Whether the stream has ended in good order, and its last frame was taken."""
        return self._route.ended

    def request_key(self) -> None:
        """Ask the producer for a keyframe. Thread-safe."""
        self._receiver.request_key(Reason.GAP)

    def age_ns(self, capture_ns: int) -> int | None:
        """The age of what was captured then, or None while it is not known. Thread-safe."""
        return self._receiver.clock.age_ns(capture_ns)

    def yield_to_viewers(self) -> None:
        """Call it as soon as a frame is shown: see `Delivery`."""
        self._delivery.yield_to_viewers()

    def _hub_search(self) -> HubSearch | None:
        settings = self._settings
        if settings.way is Via.BROKER or not private_folder.can_share():
            return None
        ring = RingName(settings.stream, settings.picture_format, source_of(settings.address))
        admission = self._receiver.admission
        return HubSearch(
            ring,
            _delay_ns(settings),
            lambda epoch: admission.refuses(epoch, monotonic_ns()),
            required=settings.way is Via.HOST,
        )

    def _results_reception(self, on_found: Callable[[Result], None] | None) -> ResultsReception | None:
        if not self._settings.results:
            return None
        from fanlight.consumer.results_reception import ResultsReception

        on_result = self._result_came if self._settings.wait_s else _nothing
        results = ResultsReception(self._settings, on_result, self._failed, on_found)
        self.counters.result_counts = results.counts
        return results

    def _attach(self, attachment: Attachment, last: LastFrame) -> HubSource:
        stream, delay_ns = self._settings.stream, _delay_ns(self._settings)
        return HubSource(attachment, stream, self.counters, self._delivery, delay_ns=delay_ns, after=last)

    # Callbacks to parts that are created later than their callers.

    def _follow(self, follow: bool) -> None:
        self._subscriber.follow_stream(follow)

    def _ask(self) -> None:
        if self._member is not None:
            self._member.ask()

    def _send(self, message: ControlMessage) -> None:
        self._subscriber.send(message)

    def _request_time(self) -> None:
        self._receiver.request_time()

    def _result_came(self) -> None:
        self._mailbox.changed()

    def _stream_ended(self) -> None:
        self.counters.ended(monotonic_ns())
        if self._settings.until_end:
            self.over = True
            self._mailbox.close()

    def _failed(self, error: FanlightError) -> None:
        self.failure = error
        self._mailbox.close()

    def _dropped(self, dropped: Dropped) -> None:
        self.counters.dropped(dropped.frame.header, dropped.frame.received_ns, dropped.outcome)


def _delay_ns(settings: ConsumerSettings) -> int | None:
    return int(settings.delay_s * 1e9) if settings.playout is PlayoutMode.SYNC else None


def _nothing() -> None:
    """No frame waits for results."""


def _playout(settings: ConsumerSettings, results: ResultsReception | None) -> Playout:
    max_age_ns, delay_ns = int(settings.max_age_s * 1e9), _delay_ns(settings)
    if results is not None and settings.wait_s:
        from fanlight.consumer.awaiting_playout import AwaitingPlayout

        return AwaitingPlayout(int(settings.wait_s * 1e9), max_age_ns, results.complete)
    if delay_ns is None:
        return LatestPlayout(max_age_ns)
    # Jitter only: nothing here is a secret.
    decoded_ahead = random.randint(2, MOST_DECODED_AHEAD)  # noqa: S311
    return SyncPlayout(delay_ns, max_age_ns, decoded_ahead)
