"""Frames that a hub of this host shares: waits at its ring, and makes frames of its pictures."""

from __future__ import annotations

import threading
from typing import Final

from common.clock import monotonic_ns, wall_ns
from common.frame import FrameHeader
from common.sharing.layout import Slot
from common.sharing.reader import Attachment
from consumer.account import Account
from consumer.ring_playout import RingPlayout
from consumer.stats import Event
from consumer.ways import Ready

# The hub says so ten times a second.
LIVENESS_TIMEOUT_NS: Final = 600_000_000
# Without a new picture for so long it is worth asking whether the hub is still there.
SILENT_NS: Final = 100_000_000
_LONGEST_WAIT_S: Final = 0.1
# One that has left may have a successor in a moment: its pictures have another size, say.
_SUCCESSOR_WAIT_S: Final = 0.01


def at_work(liveness_ns: int, now_ns: int) -> bool:
    """Whether a hub that said so at that time is at work (both monotonic)."""
    return now_ns - liveness_ns <= LIVENESS_TIMEOUT_NS


class HubWay:
    """One hub's ring, read in the presenting thread.

    Args:
        after: the (epoch, seq) that came last by another way, if any.
        delay_ns: of `sync`; None for `latest`.
    """

    def __init__(
        self,
        attachment: Attachment,
        stream: str,
        account: Account,
        *,
        delay_ns: int | None,
        after: tuple[int, int] | None,
    ) -> None:
        self._attachment = attachment
        self._stream = stream
        self._account = account
        header = attachment.header
        self._epoch, self._width, self._height = header.epoch, header.width, header.height
        after_seq = after[1] if after is not None and after[0] == header.epoch else None
        now_ns = monotonic_ns()
        self._playout = RingPlayout(attachment, delay_ns, after_seq, now_ns)
        self._newest, self._newest_ns = attachment.newest, now_ns
        self._pause = threading.Lock()
        self._pause.acquire()

    @property
    def last(self) -> tuple[int, int] | None:
        """The (epoch, seq) that came last, by either way; None if none did."""
        seq = self._playout.last_seq
        return None if seq is None else (self._epoch, seq)

    @property
    def silent(self) -> bool:
        """Whether no picture has come for a while, and all that came were seen to."""
        attachment = self._attachment
        if attachment.newest != self._playout.seen:
            return False
        return not attachment.liveness_ns or monotonic_ns() - self._newest_ns >= SILENT_NS

    @property
    def left(self) -> bool:
        """Whether the hub has left, was killed, or does not get on."""
        attachment = self._attachment
        return not (at_work(attachment.liveness_ns, monotonic_ns()) and attachment.alive)

    @property
    def overdue(self) -> bool:
        """Whether a hub that has left would have a successor by now."""
        return monotonic_ns() - self._newest_ns >= SILENT_NS

    def take(self, timeout_s: float) -> Ready | None:
        """The next frame to present; None if there is none in that time, or in a moment."""
        attachment, playout = self._attachment, self._playout
        newest = attachment.newest
        if newest == playout.seen:
            longest_s = _LONGEST_WAIT_S if attachment.liveness_ns else _SUCCESSOR_WAIT_S
            newest = attachment.wait(newest, min(timeout_s, longest_s))
        now_ns = monotonic_ns()
        if newest != self._newest:
            self._newest, self._newest_ns = newest, now_ns
        choice = playout.choose(now_ns)
        account = self._account
        for skipped in choice.skipped:
            self._arrived(skipped, 0)
            account.dropped(self._header(skipped), skipped.written_ns, Event.SUPERSEDED)
        if choice.gone:
            account.overtaken(choice.gone)
        slot = choice.slot
        if slot is None:
            if choice.wait_ns is not None:
                self._pause.acquire(timeout=min(timeout_s, choice.wait_ns / 1e9))
            return None
        header = self._arrived(slot, choice.lost)
        if choice.late:
            account.dropped(header, slot.written_ns, Event.LATE)
            return None
        picture = attachment.picture(slot)
        return Ready(
            header, picture.image, slot.written_ns, slot.captured_ns, choice.due_ns, account.lost, picture
        )

    def _arrived(self, slot: Slot, lost: int) -> FrameHeader:
        header = self._header(slot)
        self._account.arrived(header, 0, slot.written_ns, lost)  # nothing crossed a line
        return header

    def _header(self, slot: Slot) -> FrameHeader:
        return FrameHeader(
            stream=self._stream,
            codec=slot.codec,
            epoch=self._epoch,
            seq=slot.seq,
            capture_ns=slot.capture_ns,
            width=self._width,
            height=self._height,
            key=slot.key,
            fps=slot.fps,
        )
