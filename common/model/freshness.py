"""Decides what happens to each frame that arrives: nothing too old, out of order or broken is presented."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from fanlight.common.model.frame import Codec, FrameHeader
from fanlight.common.model.sequence import Continuity, SequenceTracker

# A keyframe request can be lost, for instance when the producer restarts, so it is repeated.
KEYFRAME_REQUEST_INTERVAL_NS: Final = 1_000_000_000
# After an answered one. Epochs may change with every frame, and each of them begins without a keyframe.
ANSWERED_INTERVAL_NS: Final = 250_000_000


class Verdict(Enum):
    """What to do with a frame that arrived."""

    SHOW = auto()
    """Decode it and pass it to playout."""
    DECODE_ONLY = auto()
    """Too old to be presented, but later frames refer to it."""
    DROP_LATE = auto()
    """Too old, and no other frame refers to it."""
    DROP_AWAITING_KEY = auto()
    """Its references are missing: nothing can be presented before the next keyframe."""
    DROP_DUPLICATE = auto()
    """Received before, out of order, or from another producer than the current one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, and what to do besides.

    Attributes:
        verdict: what to do with the frame.
        reset: True if the decoder must be reset before this frame (new epoch, or after a gap). Only set
            for frames that are decoded.
        lost: frames missing between this one and the one received before it.
        request_key: True if a keyframe is to be requested now.
    """

    verdict: Verdict
    reset: bool = False
    lost: int = 0
    request_key: bool = False


_SHOW: Final = Decision(Verdict.SHOW)


class FreshnessPolicy:
    """Decides about the frames of one stream in the order of their arrival. Not thread-safe."""

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._sequence = SequenceTracker()
        self._awaiting_key = True
        self._reset_due = True
        self._codec: Codec | None = None
        self._asked_ns: int | None = None
        self._answered = False

    @property
    def awaiting_key(self) -> bool:
        """True while nothing can be presented before the next keyframe."""
        return self._awaiting_key

    def offer(self, header: FrameHeader, *, age_ns: int, now_ns: int) -> Decision:
        """Decide about one frame.

        Args:
            age_ns: time since capture, by the wall clock; may be negative if clocks disagree.
            now_ns: monotonic time.
        """
        step = self._sequence.observe(header.epoch, header.seq, now_ns)
        if step.continuity in (Continuity.DUPLICATE, Continuity.OTHER_PRODUCER):
            return Decision(Verdict.DROP_DUPLICATE)
        if step.continuity is Continuity.FIRST:
            self._reset_due = True
        # A frame cannot refer to frames of another codec.
        gap = step.continuity is not Continuity.NEXT or header.codec is not self._codec
        self._codec = header.codec
        if gap and not header.codec.intra_only:
            self._awaiting_key = self._reset_due = True
        if self._awaiting_key:
            if not header.key:
                asks = self._may_ask(now_ns)
                return Decision(Verdict.DROP_AWAITING_KEY, lost=step.lost, request_key=asks)
            self._awaiting_key = False
            self._answered = True
        fresh = age_ns <= self._max_age_ns
        if not fresh and header.codec.intra_only:
            return Decision(Verdict.DROP_LATE, lost=step.lost)
        if fresh and not self._reset_due and not step.lost:
            return _SHOW
        reset, self._reset_due = self._reset_due, False
        return Decision(Verdict.SHOW if fresh else Verdict.DECODE_ONLY, reset, step.lost)

    def refuses(self, epoch: int, now_ns: int) -> bool:
        """Whether frames of this epoch are another producer's; see `SequenceTracker`."""
        return self._sequence.refuses(epoch, now_ns)

    def ended(self, epoch: int, seq: int, now_ns: int) -> int | None:
        """How many frames were lost at the end of the current producer; see `SequenceTracker`."""
        return self._sequence.ended(epoch, seq, now_ns)

    def adopt(self, epoch: int, seq: int, now_ns: int) -> None:
        """Continue after a frame that was received from a hub. The next one has to be a keyframe."""
        self._sequence.adopt(epoch, seq, now_ns)
        self._awaiting_key = self._reset_due = True

    def asked(self, now_ns: int) -> None:
        """Record that the caller has requested a keyframe for another reason (a join)."""
        self._asked_ns = now_ns
        self._answered = False

    def broken(self, now_ns: int) -> bool:
        """Record that the last frame could not be decoded. True if a keyframe is to be requested now."""
        self._awaiting_key = self._reset_due = True
        # The next keyframe may be broken too; the request interval keeps this from becoming a storm.
        self._answered = False
        return self._may_ask(now_ns)

    def _may_ask(self, now_ns: int) -> bool:
        interval_ns = ANSWERED_INTERVAL_NS if self._answered else KEYFRAME_REQUEST_INTERVAL_NS
        if self._asked_ns is not None and now_ns - self._asked_ns < interval_ns:
            return False
        self.asked(now_ns)
        return True
