"""The pipeline: capture → encode → publish, each in a thread of its own, started and stopped together."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Final

from fanlight.common import transport
from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.bye import Bye
from fanlight.common.model.control import ControlMessage, KeyframeRequest
from fanlight.common.model.errors import FanlightError, StreamEnded
from fanlight.common.runtime.slot import NewestSlot
from fanlight.producer.capture import Capture
from fanlight.producer.encode import Encode
from fanlight.producer.frame_encoder import FrameEncoder
from fanlight.producer.intra_encode import IntraEncode
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import DEFAULT_FPS, ProducerSettings
from fanlight.producer.source.base import Captured, Source
from fanlight.producer.stall_log import StallLog
from fanlight.producer.stats import Drop, ProducerCounters, ProducerMetrics, ProducerStats

_STOP_S: Final = 1.8


class Pipeline(transport.PublisherEvents):
    """Publishes pictures until it is stopped, the source ends, or a part fails permanently.

    Args:
        source: None if pictures are passed to `offer`.
        ended: used as the attribute `ended`; by default a new event.

    Attributes:
        epoch: random number of this producer, in the header of each of its frames.
        started: whether `start` was called.
        ended: set once no more frames will be published.
        failure: why it ended by itself; None while it runs and after `stop`.
    """

    def __init__(
        self,
        settings: ProducerSettings,
        source: Source | None = None,
        ended: threading.Event | None = None,
    ) -> None:
        self.epoch = secrets.randbits(62)
        self._counters = ProducerCounters(source.drops if source else None)
        self._keyframes = KeyframeGovernor()
        self.ended = ended or threading.Event()
        self.failure: FanlightError | None = None
        # Re-entrant, as a signal handler may stop what its thread is starting.
        self._starting = threading.RLock()
        self.started = self._stopping = False
        self._slot: NewestSlot[Captured] = NewestSlot()
        self._publisher = transport.publisher(
            settings.url,
            settings.credentials,
            stream=settings.stream,
            max_age_s=settings.max_age_s,
            events=self,
            max_clients=settings.max_clients,
            payload_frames=settings.payload_frames,
            intra_only=settings.codec.intra_only,
        )
        branch = self._publisher.branch
        self._pools = (
            None if branch is None else IntraEncode(branch, self._counters, max_age_s=settings.max_age_s)
        )
        self._capture = source and Capture(
            source, on_picture=self.offer, on_ended=self._source_ended, wait_s=settings.wait_s
        )
        self._source = source
        self._stream, self._codec = settings.stream, settings.codec
        self._since_ns = wall_ns()
        self._size: tuple[int, int] | None = None  # of the pictures that are published
        self._program_fps = settings.fps or DEFAULT_FPS
        self._encoder = FrameEncoder(settings, self.epoch, self._nominal_fps, self._keyframes)
        self._encode = Encode(
            self._encoder,
            self._slot,
            self._publisher,
            self._counters,
            StallLog(settings, self._counters),
            max_age_s=settings.max_age_s,
            on_ended=self._encode_ended,
            pools=self._pools,
        )

    @property
    def watched(self) -> bool:
        """True if the stream has a consumer, as far as is known."""
        return self._publisher.watched

    def start(self) -> None:
        """Start the threads; returns at once. Idempotent.

        Raises:
            StreamEnded: it was stopped before.
        """
        with self._starting:
            if self._stopping:
                raise StreamEnded("this producer was closed: it cannot be started; create another one")
            if self.started:
                return
            self.started = True
            try:
                self._publisher.start()
                if self._capture:
                    self._capture.start()
                self._encode.start()
            except BaseException:  # of a signal handler: half of a pipeline is of no use
                self.stop()
                raise

    def offer(self, captured: Captured) -> None:
        """Replace the picture that waits to be encoded, if any. Never waits."""
        self._counters.captured(monotonic_ns(), self._nominal_fps())
        self._size = self._encoder.published_size(captured.picture)
        if self._slot.put(captured):
            self._count_skipped()

    def _nominal_fps(self) -> float:
        return self._source.fps if self._source else self._program_fps

    def _count_skipped(self) -> None:
        self._counters.dropped(Drop.SKIPPED if self._publisher.watched else Drop.UNWATCHED)

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Stop all threads, within 2 s. Idempotent and thread-safe, also before `start`.

        Args:
            timeout_s: for sending what is left, and for the threads to end.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._starting:
            self._stopping = True
        if self._capture:
            self._capture.stop(timeout_s / 3)
        self._slot.close()
        self._encode.stop(timeout_s / 4)
        if self._pools:
            self._pools.stop(timeout_s / 4)
        if self._slot.take(0) is not None:
            self._count_skipped()
        # After a failure its consumers wait for another producer, as after a crash.
        bye = None if self.failure else Bye(self._stream, self.epoch, self._encoder.last_seq)
        self._publisher.stop(max(0.2, deadline_s - time.monotonic()), bye)
        self.ended.set()

    def stats(self) -> ProducerStats:
        """A snapshot of the statistics."""
        return self._counters.stats(monotonic_ns())

    def metrics(self) -> ProducerMetrics:
        """The figures behind `/metrics` and `/healthz`."""
        return self._counters.metrics(monotonic_ns())

    # Events of the publisher, on its thread.

    def announcement(self) -> Announcement:
        width, height = self._size or (None, None)
        return Announcement(
            stream=self._stream,
            codec=self._codec,
            width=width,
            height=height,
            fps=self._nominal_fps(),
            epoch=self.epoch,
            since_ns=self._since_ns,
            watched=self._publisher.watched,
        )

    def on_control(self, message: ControlMessage) -> None:
        if isinstance(message, KeyframeRequest):
            self._counters.add("keyframe_requests")
            self._keyframes.request()
        else:
            self._counters.reported(message.name, monotonic_ns())

    def on_keyframe_needed(self) -> None:
        self._counters.watched(monotonic_ns())
        self._keyframes.force()

    def on_stale(self) -> None:
        self._counters.add("unsent")
        self._keyframes.force()

    def on_unsent(self, frames: int) -> None:
        self._counters.add("unsent", frames)

    def on_refused(self) -> None:
        self._counters.add("refused")

    def on_connected(self) -> None:
        self._counters.connection(up=True, now_ns=monotonic_ns())

    def on_disconnected(self) -> None:
        if not self._stopping:  # else nothing was lost
            self._counters.connection(up=False, now_ns=monotonic_ns())

    def on_blocked(self, blocked: bool) -> None:
        self._counters.blocked(blocked, monotonic_ns())

    # Called by the threads when they end.

    def _source_ended(self, error: FanlightError | None) -> None:
        self.failure = self.failure or error
        self._slot.close()

    def _encode_ended(self, error: FanlightError | None) -> None:
        self.failure = self.failure or error
        self.ended.set()
