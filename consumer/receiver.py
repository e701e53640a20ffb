"""The receiving side of a consumer: what arrives is judged and left for presentation, still encoded.

Runs wherever messages are received, which must go on: nothing is decoded here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from common.clock import monotonic_ns
from common.control import Reason
from common.errors import FanlightError, WireFormatError
from common.frame import EncodedFrame, FrameHeader
from common.freshness import FreshnessPolicy, Verdict
from common.ratelimit import RateLimiter
from consumer.mailbox import Mailbox
from consumer.playout import Arrived
from consumer.stats import Event, Meters, Outcome

_LOG = logging.getLogger(__name__)

_DROPS: Final = {
    Verdict.DROP_LATE: Event.LATE,
    Verdict.DROP_AWAITING_KEY: Event.AWAITING_KEY,
}


class Receiver:
    """Follows one stream. Belongs to the receiving thread, but for `broken`.

    Args:
        now_ns: the clock that frames were stamped with (Unix time).
        request_key: asks the producer for a keyframe.
        on_outcome: told the fate of every frame that will not be presented.
        on_encoded: given every frame that is not missing its references, in order.
    """

    def __init__(
        self,
        *,
        max_age_s: float,
        now_ns: Callable[[], int],
        mailbox: Mailbox,
        meters: Meters,
        request_key: Callable[[Reason], None],
        on_outcome: Callable[[Outcome], None],
        on_encoded: Callable[[EncodedFrame], None] | None = None,
    ) -> None:
        self._policy = FreshnessPolicy(int(max_age_s * 1e9))
        self._now_ns = now_ns
        self._mailbox = mailbox
        self._meters = meters
        self._request_key = request_key
        self._on_outcome = on_outcome
        self._on_encoded = on_encoded
        self._judging = threading.Lock()
        self._lost = 0
        self._joining = False
        self._complaints = RateLimiter()

    def on_frame(self, frame: EncodedFrame, received_ns: int) -> None:
        """Judge one frame; `received_ns` is Unix time."""
        header = frame.header
        age_ns = self._now_ns() - header.capture_ns
        with self._judging:
            decision = self._policy.offer(header, age_ns=age_ns, now_ns=monotonic_ns())
        if decision.verdict is Verdict.DROP_REPEATED:
            # Who joins anew without a broker gets the frames since the last keyframe: some it has had.
            if not self._joining:
                self._repeated(header, received_ns)
            return
        self._joining = False
        self._meters.arrived(
            epoch=header.epoch,
            seq=header.seq,
            size_bytes=len(frame.body),
            capture_ns=header.capture_ns,
            received_ns=received_ns,
        )
        if decision.lost:
            self._lost += decision.lost
            self._meters.lost(decision.lost)
        if decision.request_key:
            self._request_key(Reason.GAP)
        if self._on_encoded is not None and decision.verdict is not Verdict.DROP_AWAITING_KEY:
            self._on_encoded(frame)
        if decision.verdict in _DROPS:
            self._end(header, received_ns, _DROPS[decision.verdict])
            return
        showable = decision.verdict is Verdict.SHOW
        if not showable:
            self._end(header, received_ns, Event.LATE)
        if not self._mailbox.push(Arrived(frame, received_ns, self._lost, decision.reset, showable)):
            self.broken(Reason.GAP)

    def on_joined(self) -> None:
        """The subscription stands: an idle producer wakes, a busy one sends a keyframe."""
        self._joining = True
        with self._judging:
            self._policy.asked(monotonic_ns())
        self._request_key(Reason.JOIN)

    def broken(self, reason: Reason) -> None:
        """References are missing: wait for a keyframe, and ask for one. Thread-safe."""
        with self._judging:
            asks = self._policy.broken(monotonic_ns())
        if asks:
            self._request_key(reason)

    def on_malformed(self, error: WireFormatError) -> None:
        """Count a message that is not ours."""
        self._meters.malformed()
        self._complain("message refused: %s", error)

    def complain(self, error: FanlightError) -> None:
        """Say what was refused, at most once a second. Thread-safe enough: at worst it is said twice."""
        self._complain("%s", error)

    def _repeated(self, header: FrameHeader, received_ns: int) -> None:
        self._meters.repeated()
        self._on_outcome(_outcome(header, received_ns, Event.SUPERSEDED))
        self._complain(
            "frame %d of epoch %x came out of order: is there a second producer?", header.seq, header.epoch
        )

    def _end(self, header: FrameHeader, received_ns: int, event: Event) -> None:
        self._meters.ended(event)
        self._on_outcome(_outcome(header, received_ns, event))

    def _complain(self, message: str, *details: object) -> None:
        held_back = self._complaints.allow(monotonic_ns())
        if held_back is not None:
            suffix = f" (and {held_back} more like it)" if held_back else ""
            _LOG.warning(message + "%s", *details, suffix)


def _outcome(header: FrameHeader, received_ns: int, event: Event) -> Outcome:
    return Outcome(header.seq, header.capture_ns, received_ns, None, event)
