"""The encoding thread: takes the newest picture whenever the publisher can send one.

Pictures are dropped before they are encoded, never after: a missing H.264 frame would break every
frame that refers to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import av

from fanlight.common.clock import monotonic_ns
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import EncodeError, FanlightError, WireFormatError
from fanlight.common.model.reasons import reason
from fanlight.common.runtime.slot import NewestSlot
from fanlight.common.transport import Publisher
from fanlight.producer.frame_encoder import FrameEncoder
from fanlight.producer.intra_encode import IntraEncode, Numbered
from fanlight.producer.source.base import Captured
from fanlight.producer.stall_log import StallLog
from fanlight.producer.stats import Drop, ProducerCounters
from fanlight.producer.worker import Worker

_LOG = logging.getLogger(__name__)

_WAIT_S: Final = 0.2
# If no picture could be encoded for this long, the failure is permanent.
_PERMANENT_NS: Final = 3_000_000_000


class Encode(Worker):
    """Encodes while the stream is watched, and passes the frames to the publisher.

    A picture that cannot be encoded is dropped and counted, and the next one is a keyframe. If no picture
    could be encoded for 3 s, or until the source ended, the thread ends with the error.

    Args:
        max_age_s: a picture that waited longer than this is dropped.
        pools: encodes for pools; None if the frames stand alone, so that pools take them.
        now_ns: the monotonic clock.
    """

    def __init__(
        self,
        encoder: FrameEncoder,
        slot: NewestSlot[Captured],
        publisher: Publisher,
        counters: ProducerCounters,
        stall_log: StallLog,
        *,
        max_age_s: float,
        on_ended: Callable[[FanlightError | None], None],
        pools: IntraEncode | None = None,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        super().__init__("encode", on_ended)
        self._encoder = encoder
        self._slot = slot
        self._publisher = publisher
        self._counters = counters
        self._stall_log = stall_log
        self._pools = pools
        self._max_age_ns = int(max_age_s * 1e9)
        self._now_ns = now_ns
        self._failures = FailureTracker()

    def run(self) -> None:
        while not self._stopping.is_set():
            self._stall_log.tick(monotonic_ns(), watched=self._publisher.watched)
            if not self._publisher.wait_ready(_WAIT_S):
                if self._publisher.failure is not None:
                    raise self._publisher.failure
                if self._slot.drained or (self._slot.closed and not self._publisher.watched):
                    break
                continue
            captured = self._slot.take(_WAIT_S)
            if captured is not None:
                self._encode(captured)
            elif self._slot.drained:
                break
        if not self._stopping.is_set():
            self._failures.end()

    def _encode(self, captured: Captured) -> None:
        began_ns = self._now_ns()
        if began_ns - captured.captured_ns > self._max_age_ns:
            self._counters.last_stale_s = (began_ns - captured.captured_ns) / 1e9
            self._counters.dropped(Drop.STALE)
            return
        if self._pools is not None and self._pools.alone:
            self._pools.offer(Numbered(captured, self._encoder.number(captured), alone=True))
            return
        try:
            frame = self._encoder.encode(captured, began_ns)
        except (EncodeError, WireFormatError, MemoryError, av.error.FFmpegError) as error:
            self._encoder.reset()
            self._counters.dropped(Drop.UNENCODABLE)
            self._failures.failed(error, self._now_ns())
            return
        encoded_ns = self._now_ns()
        self._publisher.publish(frame)
        self._counters.published(
            len(frame.body), key=frame.header.key, encode_s=(encoded_ns - began_ns) / 1e9, now_ns=encoded_ns
        )
        self._failures.succeeded = True
        if self._pools is not None and self._pools.wanted:
            self._pools.offer(Numbered(captured, frame.header, alone=False))


class FailureTracker:
    """Distinguishes a codec that never works from single pictures that cannot be encoded. No threads.

    Attributes:
        succeeded: True once a picture was encoded.
    """

    def __init__(self) -> None:
        self.succeeded = False
        self._log = LimitedLog(_LOG)
        self._first_ns: int | None = None
        self._latest: FanlightError | None = None

    def failed(self, error: Exception, now_ns: int) -> None:
        """A picture could not be encoded; `now_ns` is monotonic.

        Raises:
            FanlightError: no picture could be encoded for 3 s.
        """
        if not isinstance(error, FanlightError):
            error = EncodeError(f"a picture cannot be encoded: {reason(error)}")
        self._latest = error
        if self._first_ns is None:
            self._first_ns = now_ns
        if now_ns - self._first_ns >= _PERMANENT_NS:
            self.end()
        self._log.warn(now_ns, "picture dropped: %s", error)

    def end(self) -> None:
        """No more pictures will come.

        Raises:
            FanlightError: no picture could be encoded.
        """
        if self._latest is not None and not self.succeeded:
            raise self._latest
