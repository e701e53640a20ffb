"""Checks whether a producer of the stream answers, and the offset of its clock."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from fanlight.common import transport
from fanlight.common.clock import monotonic_ns, wall_ns
from fanlight.common.model import clock_offset
from fanlight.common.model.clock_offset import ClockSample
from fanlight.common.model.control import ClockReply, ClockRequest
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.finding import Finding, note, ok, problem

_CONNECT_S: Final = 3.0
_QUESTIONS: Final = 5
_ANSWER_S: Final = 0.4
# Two clocks that are further apart are worth a note.
_NOTABLE_NS: Final = 10_000_000


class _Answers(transport.SubscriberEvents):
    """Queues replies and errors; None when the connection is established."""

    def __init__(self) -> None:
        self.replies: SimpleQueue[ClockSample | FanlightError | None] = SimpleQueue()

    def on_connected(self) -> None:
        self.replies.put(None)

    def on_failed(self, error: FanlightError) -> None:
        self.replies.put(error)

    def on_clock(self, reply: ClockReply) -> None:
        times = (reply.asked_ns, reply.received_ns, reply.replied_ns, monotonic_ns())
        self.replies.put(clock_offset.sample(*times))


def ask_producer(
    url: str, credentials: Credentials, *, stream: str, max_age_s: float, required: bool
) -> Finding:
    """Request the time of a stream's producer without receiving the stream, so that it stays idle.

    Args:
        required: whether an unreachable producer is a problem, as it is for a consumer without a broker.
    """
    answers, samples = _Answers(), list[ClockSample]()
    subscriber = transport.subscriber(
        url, credentials, stream=stream, name="doctor", max_age_s=max_age_s, events=answers, follow=False
    )
    subscriber.start()
    try:
        if (failure := answers.replies.get(timeout=_CONNECT_S)) is not None:
            return note(f"cannot be asked, which takes the permissions of a consumer: {failure}")
        for _ in range(_QUESTIONS):
            subscriber.send(ClockRequest(stream=stream, name="doctor", asked_ns=monotonic_ns()))
            with suppress(Empty):
                answer = answers.replies.get(timeout=_ANSWER_S)
                samples += [answer] if isinstance(answer, ClockSample) else []
    except Empty:
        severity = problem if required else note
        return severity("cannot be asked: nobody answers there", "start it, or look at --url")
    finally:
        subscriber.stop(1.0)
    if not samples:
        return note(f"none of stream {stream} answers", "start one, or look at --stream")
    best = min(samples, key=lambda sample: sample.error_ns)
    offset_ns = best.base_ns - (wall_ns() - monotonic_ns())
    text = (
        f"stream {stream}: its clock is {offset_ns / 1e6:+.1f} ms from ours, ±{best.error_ns / 1e6:.1f} ms"
    )
    if abs(offset_ns) > best.error_ns + _NOTABLE_NS:
        return note(text, "consumers allow for it; still, let both follow NTP (chrony)")
    return ok(text)
