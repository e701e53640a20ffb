"""Encodes pictures that stand alone for pools, on a thread of its own, so that the stream does not wait.

Only for a stream whose frames refer to each other, and while a pool has members. A frame has the header of
the stream's own frame, but for the codec.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

import av

from fanlight.common.clock import monotonic_ns
from fanlight.common.codec import encoder
from fanlight.common.codec.picture import Converter
from fanlight.common.limited_log import LimitedLog
from fanlight.common.model.errors import EncodeError, FanlightError, WireFormatError
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader
from fanlight.common.model.reasons import reason
from fanlight.common.runtime.slot import NewestSlot
from fanlight.common.transport import IntraPublisher
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import Drop, ProducerCounters
from fanlight.producer.worker import Worker

_LOG = logging.getLogger(__name__)

_WAIT_S: Final = 0.2


class Numbered(NamedTuple):
    """A picture with the header of its frame.

    Attributes:
        alone: whether no other frame is made of it: then its outcome is counted here.
    """

    captured: Captured
    header: FrameHeader
    alone: bool


class IntraEncode(Worker):
    """The thread is started with the first picture.

    Args:
        max_age_s: a picture that waited longer than this is dropped.
    """

    def __init__(
        self,
        publisher: IntraPublisher,
        counters: ProducerCounters,
        *,
        max_age_s: float,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        super().__init__("encode for pools", self._ended)
        self._publisher = publisher
        self._counters = counters
        self._max_age_ns = int(max_age_s * 1e9)
        self._now_ns = now_ns
        self._slot: NewestSlot[Numbered] = NewestSlot()
        self._started = False
        self._log = LimitedLog(_LOG)

    @property
    def wanted(self) -> bool:
        """Whether a pool takes pictures."""
        return self._publisher.watched

    @property
    def alone(self) -> bool:
        """Whether nobody but pools takes any: then the stream itself is not encoded."""
        return self._publisher.alone

    def offer(self, picture: Numbered) -> None:
        """Replace the picture that waits to be encoded, if any. Never waits. For one thread."""
        if not self._started:
            self._started = True
            self.start()
        replaced = self._slot.take(0)
        if replaced is not None:
            self._dropped(replaced, Drop.SKIPPED)
        if self._slot.put(picture):
            self._dropped(picture, Drop.SKIPPED)  # it is being stopped

    def stop(self, timeout_s: float) -> None:
        self._slot.close()
        super().stop(timeout_s)
        left = self._slot.take(0)
        if left is not None:
            self._dropped(left, Drop.SKIPPED)

    def run(self) -> None:
        # Loaded only now: most streams have no pool.
        self._converter, self._encoder = Converter(), encoder(Codec.JPEG, fps=1, gop_s=1)
        while not self._stopping.is_set():
            if self._publisher.wait_ready(_WAIT_S):
                picture = self._slot.take(_WAIT_S)
                if picture is not None:
                    self._encode(picture)
            elif self._slot.drained:
                break

    def _encode(self, picture: Numbered) -> None:
        began_ns = self._now_ns()
        if began_ns - picture.captured.captured_ns > self._max_age_ns:
            self._dropped(picture, Drop.STALE)
            return
        header = picture.header._replace(codec=Codec.JPEG, key=True)
        try:
            image = self._converter.to_bgr(picture.captured.picture, (header.width, header.height))
            body = self._encoder.encode(image, key=True).body
            header.check_sizes(len(body))
        except (EncodeError, WireFormatError, MemoryError, av.error.FFmpegError) as error:
            self._log.warn(began_ns, "picture for pools dropped: %s", reason(error))
            self._dropped(picture, Drop.UNENCODABLE)
            return
        self._publisher.publish(EncodedFrame(header, body))
        self._counters.add("intra")
        if picture.alone:
            now_ns = self._now_ns()
            self._counters.published(len(body), key=True, encode_s=(now_ns - began_ns) / 1e9, now_ns=now_ns)

    def _dropped(self, picture: Numbered, why: Drop) -> None:
        if picture.alone:
            self._counters.dropped(why)
        else:
            self._counters.add("intra_dropped")

    def _ended(self, _error: FanlightError | None) -> None:
        """What ends it by an error is logged; the stream goes on."""
