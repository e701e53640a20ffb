"""Takes frames from the shared-memory ring of a hub on this host."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from fanlight.common import clock
from fanlight.common.model.frame import FrameHeader
from fanlight.common.shm.layout import CODECS, Slot
from fanlight.common.shm.reader import Attachment
from fanlight.consumer.delivery import Delivery
from fanlight.consumer.frame import Frame
from fanlight.consumer.ring_playout import Choice, RingPlayout
from fanlight.consumer.stats import ConsumerCounters

# A hub writes its liveness time ten times a second.
LIVENESS_TIMEOUT_NS: Final = 600_000_000
# After this time without a new picture, the hub's liveness is checked.
IDLE_NS: Final = 100_000_000
_LONGEST_WAIT_S: Final = 0.1
# A hub that closed its ring may open another one soon, for instance with another picture size.
_SUCCESSOR_WAIT_S: Final = 0.01


def is_live(liveness_ns: int, now_ns: int) -> bool:
    """Whether a hub with this liveness time is alive (both monotonic)."""
    return now_ns - liveness_ns <= LIVENESS_TIMEOUT_NS


class HubSource:
    """One hub's ring as a source of frames. Belongs to the presenting thread.

    Args:
        after: the (epoch, seq) of the last frame from another source, if any.
        delay_ns: of `sync`; None for `latest`.
        now_ns: the monotonic clock.
    """

    def __init__(
        self,
        attachment: Attachment,
        stream: str,
        counters: ConsumerCounters,
        delivery: Delivery,
        *,
        delay_ns: int | None,
        after: tuple[int, int] | None,
        now_ns: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        self._attachment = attachment
        self._stream = stream
        self._counters = counters
        self._delivery = delivery
        self._now_ns = now_ns
        epoch = attachment.header.epoch
        # A consumer that comes after the end waits for the next producer, as without a hub.
        self._came_late = attachment.ended and (after is None or after[0] != epoch)
        after_seq = after[1] if after is not None and after[0] == epoch else None
        self._newest_ns = now_ns()
        self._playout = RingPlayout(attachment, delay_ns, after_seq, self._newest_ns)
        self._longest_wait_s = _LONGEST_WAIT_S
        # Never released: acquiring it with a timeout is the cheapest precise wait.
        self._pause = threading.Lock()
        self._pause.acquire()

    @property
    def last(self) -> tuple[int, int] | None:
        """The (epoch, seq) of the last frame, from either source, if any."""
        seq = self._playout.last_seq
        return None if seq is None else (self._attachment.header.epoch, seq)

    @property
    def idle(self) -> bool:
        """Whether there has been no new picture for 0.1 s, and none is left to present."""
        attachment = self._attachment
        if attachment.newest != self._playout.seen:
            return False
        return not attachment.liveness_ns or self.successor_overdue

    @property
    def ended(self) -> bool:
        """Whether the hub's stream has ended in good order, and no picture is left to present."""
        attachment = self._attachment
        return attachment.ended and not self._came_late and attachment.newest == self._playout.seen

    @property
    def lost(self) -> bool:
        """Whether the hub has ended, was killed, or is stuck."""
        attachment = self._attachment
        return not (is_live(attachment.liveness_ns, self._now_ns()) and attachment.alive)

    @property
    def successor_overdue(self) -> bool:
        """Whether a successor of a lost hub would have appeared by now."""
        return self._now_ns() - self._newest_ns >= IDLE_NS

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None on a timeout, or after other work."""
        attachment, playout = self._attachment, self._playout
        newest = attachment.wait(playout.seen, min(timeout_s, self._longest_wait_s))
        now_ns = self._now_ns()
        due_ns = None
        # The usual case: the next picture, shown at once. Kept short: each of a hundred viewers runs it for
        # every frame, with cold processor caches.
        slot = playout.next(newest)
        if slot is None:
            choice = playout.choose(newest, now_ns)
            self._count(choice)
            slot, due_ns = choice.slot, choice.due_ns
            if slot is None:
                if choice.wait_ns is not None:
                    self._pause.acquire(timeout=min(timeout_s, choice.wait_ns / 1e9))
                elif not attachment.liveness_ns:
                    self._longest_wait_s = _SUCCESSOR_WAIT_S
                return None
        self._newest_ns = now_ns
        header = self._header(slot)
        picture = attachment.picture(slot.number)
        return self._delivery.present(
            header, picture.image, slot.written_ns, slot.captured_ns, due_ns, self._counters.lost, picture
        )

    def _count(self, choice: Choice) -> None:
        for slot, outcome in choice.dropped:
            header = self._header(slot)
            self._counters.received(header, 0, slot.written_ns)
            self._counters.dropped(header, slot.written_ns, outcome)
        if choice.overwritten:
            self._counters.overwritten(choice.overwritten)
        if choice.lost:
            self._counters.count("lost", choice.lost)

    def _header(self, slot: Slot) -> FrameHeader:
        ring = self._attachment.header
        return FrameHeader(
            self._stream,
            CODECS[slot.codec_number],
            ring.epoch,
            slot.seq,
            slot.capture_ns,
            ring.width,
            ring.height,
            slot.keyframe == 1,
            slot.fps,
            self._attachment.meta(slot) if slot.meta_bytes else "",
        )
