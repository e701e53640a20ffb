"""Frames that come as the stream itself: takes them from the mailbox in their turn, and decodes them."""

from __future__ import annotations

from fanlight.common.model.control import Reason
from fanlight.common.model.pixels import Form
from fanlight.consumer.account import Account
from fanlight.consumer.decoding import Decoding
from fanlight.consumer.frame import Frame
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import Arrived
from fanlight.consumer.producer_clock import ProducerClock
from fanlight.consumer.receiver import Receiver
from fanlight.consumer.stats import Event
from fanlight.consumer.ways import Present


class StreamWay:
    """Belongs to the presenting thread."""

    def __init__(
        self,
        form: Form,
        mailbox: Mailbox,
        receiver: Receiver,
        clock: ProducerClock,
        account: Account,
        present: Present,
    ) -> None:
        self._mailbox = mailbox
        self._clock = clock
        self._account = account
        self._present = present
        self._decoding = Decoding(
            form, lambda: receiver.broken(Reason.DECODE_ERROR), account.meters.decoding
        )

    @property
    def empty(self) -> bool:
        """Whether no frame waits for its turn."""
        return not self._mailbox.held

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None if there is none in that time, or there was other work."""
        turn = self._mailbox.take(timeout_s)
        for referred_to in turn.decode:
            self._decoding.skip(referred_to)
        if turn.frame is not None:
            return self._show(turn.frame, turn.due_ns)
        if turn.upcoming is not None:
            self._decoding.prepare(turn.upcoming)
        elif turn.ahead is not None:
            self._decoding.decode_ahead(turn.ahead)
        return None

    def rest(self) -> None:
        """Let go of the decoder: frames come from a hub now."""
        self._decoding.rest()

    def _show(self, arrived: Arrived, due_ns: int | None) -> Frame | None:
        header = arrived.frame.header
        image = self._decoding.pixels(arrived)
        if isinstance(image, Event):
            self._account.dropped(header, arrived.received_ns, image)
            return None
        offset_ns = self._clock.offset_ns()
        captured_ns = header.capture_ns - offset_ns
        if not self._clock.believes(self._clock.now_ns() - header.capture_ns):
            self._account.dropped(header, arrived.received_ns, Event.LATE)
            return None
        return self._present(
            header,
            image,
            arrived.received_ns,
            captured_ns,
            None if due_ns is None else due_ns - offset_ns,
            arrived.lost_before,
        )
