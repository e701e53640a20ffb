"""The pipeline: capture → encode → publish, each in a thread of its own, started and stopped together."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Final

from fanlight.common import transport
from fanlight.common.clock import monotonic_ns
from fanlight.common.model.control import ControlMessage, KeyframeRequest
from fanlight.common.model.errors import FanlightError
from fanlight.common.runtime.slot import NewestSlot
from fanlight.producer.capture import Capture
from fanlight.producer.encode import Encode
from fanlight.producer.frame_encoder import FrameEncoder
from fanlight.producer.keyframes import KeyframeGovernor
from fanlight.producer.settings import DEFAULT_FPS, ProducerSettings
from fanlight.producer.source.base import Captured, Source
from fanlight.producer.stats import Drop, ProducerCounters, ProducerDetails, ProducerStats

_STOP_S: Final = 1.8


class Pipeline(transport.PublisherEvents):
    """Publishes pictures until it is stopped, their source ends, or something fails for good.

    Args:
        source: None if pictures are passed in with `offer`.
        ended: set once no more frames will come; by default a new event.
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
        self._ended = ended or threading.Event()
        self._failure: FanlightError | None = None
        self._stopping = False
        self._slot: NewestSlot[Captured] = NewestSlot()
        self._publisher = transport.publisher(
            settings.url,
            settings.credentials,
            stream=settings.stream,
            max_age_s=settings.max_age_s,
            events=self,
            payload_frames=settings.payload_frames,
        )
        self._capture = source and Capture(source, on_picture=self.offer, on_ended=self._source_ended)
        fps = (lambda: source.fps) if source else (lambda: settings.fps or DEFAULT_FPS)
        self._encode = Encode(
            FrameEncoder(settings, self.epoch, fps, self._keyframes),
            self._slot,
            self._publisher,
            self._counters,
            max_age_s=settings.max_age_s,
            on_ended=self._encode_ended,
        )

    @property
    def failure(self) -> FanlightError | None:
        """Why it ended by itself; None while it runs and after an orderly end."""
        return self._failure

    @property
    def watched(self) -> bool:
        """True if anybody receives the stream, as far as is known."""
        return self._publisher.watched

    @property
    def ended(self) -> threading.Event:
        """Set once no more frames will come."""
        return self._ended

    def start(self) -> None:
        """Start the threads; returns at once."""
        self._publisher.start()
        if self._capture:
            self._capture.start()
        self._encode.start()

    def offer(self, captured: Captured) -> None:
        """Accept the newest picture; one that was not encoded yet is dropped. Never waits."""
        self._counters.captured(monotonic_ns())
        if self._slot.put(captured):
            self._superseded()

    def _superseded(self) -> None:
        self._counters.dropped(Drop.SKIPPED if self._publisher.watched else Drop.UNWATCHED)

    def stop(self) -> None:
        """End in good order within 2 s. Safe to call twice, and from any thread."""
        deadline_s = time.monotonic() + _STOP_S
        self._stopping = True
        if self._capture:
            self._capture.stop(_STOP_S / 3)
        self._slot.close()
        self._encode.stop(_STOP_S / 4)
        if self._slot.take(0) is not None:
            self._superseded()
        self._publisher.stop(max(0.2, deadline_s - time.monotonic()))
        self._ended.set()

    def stats(self) -> ProducerStats:
        """The figures as they stand."""
        return self._counters.stats(monotonic_ns())

    def details(self) -> ProducerDetails:
        """Everything that is counted."""
        return self._counters.details(monotonic_ns())

    # Events of the publisher, on its thread.

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

    # Ends of the threads, each on its own.

    def _source_ended(self, error: FanlightError | None) -> None:
        self._failure = self._failure or error
        self._slot.close()

    def _encode_ended(self, error: FanlightError | None) -> None:
        self._failure = self._failure or error
        self._ended.set()
