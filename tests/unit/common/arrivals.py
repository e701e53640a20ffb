"""Streams as they may arrive, and what the rules say about them, for the sequence and freshness tests.

The rules are written here a second time, and in another way: over the whole history, from scratch for
every frame, with no state of their own. That is slow and easy to check against docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from fanlight.common.model.frame import Codec, FrameHeader
from fanlight.common.model.freshness import Decision, Verdict
from fanlight.common.model.sequence import Continuity, Step
from tests.support.headers import header

MS = 1_000_000
SECOND = 1000 * MS
MAX_AGE = 500 * MS
START = 5 * SECOND

ACCEPTED = (Continuity.FIRST, Continuity.NEXT, Continuity.GAP)
DECODED = (Verdict.SHOW, Verdict.DECODE_ONLY)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame as it comes in, and whether the decoder (if it gets that far) chokes on it."""

    epoch: int
    seq: int
    now_ns: int
    age_ns: int = 0
    key: bool = True
    codec: Codec = Codec.H264
    breaks: bool = False

    @property
    def header(self) -> FrameHeader:
        return header(self.seq, self.codec, epoch=self.epoch, key=self.key or self.codec.intra_only)


@dataclass(frozen=True, slots=True)
class Judged:
    """An arrival, what was said of it, and whether its breaking the decoder led to a request."""

    arrival: Arrival
    step: Step
    decision: Decision
    asked_after: bool = False

    @property
    def decoded(self) -> bool:
        return self.decision.verdict in DECODED

    @property
    def ends_wait(self) -> bool:
        return self.decoded or self.decision.verdict is Verdict.DROP_LATE

    @property
    def usable(self) -> bool:
        return self.decoded and not self.arrival.breaks

    @property
    def asked(self) -> bool:
        return self.decision.request_key or self.asked_after


def reference_step(past: Sequence[tuple[Arrival, Step]], arrival: Arrival, takeover_ns: int) -> Step:
    accepted = [(at, before) for at, (before, step) in enumerate(past) if step.continuity in ACCEPTED]
    own = [at for at, before in accepted if before.epoch == arrival.epoch]
    if not own:
        return Step(Continuity.FIRST)
    latest = accepted[-1][1]
    silent = arrival.now_ns - latest.now_ns >= takeover_ns
    if arrival.epoch != latest.epoch and not silent:
        return Step(Continuity.OTHER_PRODUCER)
    at = own[-1]
    if arrival.seq <= past[at][0].seq:
        while past[at][1].continuity is Continuity.NEXT:
            at = next(i for i in reversed(own) if i < at)
        fills_a_gap = _certain(past, arrival.epoch, takeover_ns) < arrival.seq < past[at][0].seq
        return Step(Continuity.FIRST if silent and fills_a_gap else Continuity.DUPLICATE)
    if arrival.epoch != latest.epoch:
        return Step(Continuity.FIRST)
    missing = len(set(range(latest.seq + 1, arrival.seq)))
    return Step(Continuity.GAP, missing) if missing else Step(Continuity.NEXT)


def _certain(past: Sequence[tuple[Arrival, Step]], epoch: int, takeover_ns: int) -> int:
    """The last number that was followed undisputed: for so long without a gap or an earlier number."""
    certain, doubted_ns, last = -1, 0, None
    for before, step in past:
        if last is not None and last.now_ns - doubted_ns >= takeover_ns:
            certain = last.seq
        if step.continuity in ACCEPTED:
            if step.continuity is not Continuity.NEXT:
                doubted_ns = before.now_ns
            last = before if before.epoch == epoch else None
        elif before.epoch == epoch and step.continuity is Continuity.DUPLICATE and last is not None:
            doubted_ns = before.now_ns
    return last.seq if last is not None and last.now_ns - doubted_ns >= takeover_ns else certain


def reference_decision(past: Sequence[Judged], arrival: Arrival, step: Step, max_age_ns: int) -> Decision:
    if step.continuity not in ACCEPTED:
        return Decision(Verdict.DROP_DUPLICATE)
    followed = [before for before in past if before.step.continuity in ACCEPTED]
    if arrival.codec.intra_only:
        shows, unbroken = True, _same_picture_run(followed, step)
    else:
        unbroken = (
            step.continuity is Continuity.NEXT
            and followed[-1].usable
            and followed[-1].arrival.codec is arrival.codec
        )
        shows = arrival.key or unbroken
    if not shows:
        asks = not _asked_within_the_last_second(past, arrival.now_ns)
        return Decision(Verdict.DROP_AWAITING_KEY, lost=step.lost, request_key=asks)
    if arrival.age_ns <= max_age_ns:
        return Decision(Verdict.SHOW, reset=not unbroken, lost=step.lost)
    if arrival.codec.intra_only:
        return Decision(Verdict.DROP_LATE, lost=step.lost)
    return Decision(Verdict.DECODE_ONLY, reset=not unbroken, lost=step.lost)


def reference_asks_when_broken(past: Sequence[Judged], now_ns: int) -> bool:
    """The same decoder error may come with every frame: at most one request per second, come what may."""
    return not any(before.asked and now_ns - before.arrival.now_ns < SECOND for before in past)


def _same_picture_run(followed: Sequence[Judged], step: Step) -> bool:
    """True if an intra-only decoder that is in order has worked since the stream began or changed."""
    if step.continuity is Continuity.FIRST:
        return False
    run: list[Judged] = []
    for before in followed:
        run = [before] if before.step.continuity is Continuity.FIRST else [*run, before]
    decoded = [at for at, before in enumerate(run) if before.decoded]
    # A frame of another codec that waits for a keyframe wants a reset, and the next one decoded brings it.
    return (
        bool(decoded)
        and run[decoded[-1]].usable
        and all(before.arrival.codec.intra_only for before in run[decoded[-1] + 1 :])
    )


def _asked_within_the_last_second(past: Sequence[Judged], now_ns: int) -> bool:
    """Counts the requests of this wait, and all of the last 250 ms; all, if a decoder error began it.

    A frame that stands alone ends a wait, even if it is too old to be decoded.
    """
    followed = [before for before in past if before.step.continuity in ACCEPTED]
    begin = next((i for i in range(len(followed), 0, -1) if followed[i - 1].ends_wait), 0)
    began_broken = any(
        before.decoded and before.arrival.breaks for before in followed[max(0, begin - 1) : begin]
    )
    counted = followed if began_broken else followed[begin:]
    return any(before.asked and now_ns - before.arrival.now_ns < SECOND for before in counted) or any(
        before.asked and now_ns - before.arrival.now_ns < 250 * MS for before in past
    )


# Streams -----------------------------------------------------------------------------------------------

_epochs = st.sampled_from([None] * 12 + [0, 1, 2, 3])
_jumps = st.sampled_from([1] * 12 + [2, 2, 3, 40, 0, 0, -1, -3])
_pauses = st.sampled_from([33 * MS] * 8 + [0, 1, 400 * MS, SECOND - 1, SECOND, 3 * SECOND])
_ages = st.sampled_from(
    [10 * MS] * 6 + [-5 * SECOND, -1, 0, MAX_AGE, MAX_AGE + 1, MAX_AGE + 1, 60 * SECOND]
)
_keys = st.sampled_from([True, False, False])
_breaks = st.sampled_from([False] * 7 + [True])
_alone = st.sampled_from([False] * 7 + [True])
_events = st.lists(st.tuples(_epochs, _jumps, _pauses, _ages, _keys, _breaks, _alone), max_size=60)


def _assemble(
    events: list[tuple[int | None, int, int, int, bool, bool, bool]], codecs: tuple[Codec, ...]
) -> list[Arrival]:
    arrivals: list[Arrival] = []
    epoch, now_ns = 0, START
    seqs = dict.fromkeys(range(4), -1)
    for switch, jump, pause_ns, age_ns, key, breaks, alone in events:
        epoch = epoch if switch is None else switch
        now_ns += pause_ns
        seqs[epoch] = max(0, seqs[epoch] + jump)
        codec = Codec.JPEG if alone else codecs[epoch]
        arrivals.append(Arrival(100 + epoch, seqs[epoch], now_ns, age_ns, key, codec, breaks))
    return arrivals


CODECS_BY_EPOCH = [
    (Codec.H264,) * 4,
    (Codec.JPEG,) * 4,
    (Codec.H264, Codec.PNG, Codec.H264, Codec.RAW),
]
streams = st.builds(_assemble, _events, st.sampled_from(CODECS_BY_EPOCH))
"""Frames of up to four producers: mostly in order, some lost, repeated, overtaken, stale or broken.

Some are of another codec than those around them.
"""
