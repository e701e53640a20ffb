from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given

from fanlight.common.model.frame import Codec
from fanlight.common.model.freshness import Decision, FreshnessPolicy, Verdict
from fanlight.common.model.sequence import Continuity, SequenceTracker
from tests.unit.common.arrivals import (
    MAX_AGE,
    MS,
    SECOND,
    START,
    Arrival,
    Judged,
    reference_asks_when_broken,
    reference_decision,
    streams,
)

SHOW, DECODE_ONLY = Verdict.SHOW, Verdict.DECODE_ONLY
LATE, AWAITING, DUPLICATE = Verdict.DROP_LATE, Verdict.DROP_AWAITING_KEY, Verdict.DROP_DUPLICATE


def key(seq: int, at_ms: int = 0, *, epoch: int = 1, age_ms: float = 10, breaks: bool = False) -> Arrival:
    return Arrival(epoch, seq, START + at_ms * MS, int(age_ms * MS), breaks=breaks)


def delta(seq: int, at_ms: int = 0, *, epoch: int = 1, age_ms: float = 10, breaks: bool = False) -> Arrival:
    return replace(key(seq, at_ms, epoch=epoch, age_ms=age_ms, breaks=breaks), key=False)


def jpeg(seq: int, at_ms: int = 0, *, epoch: int = 1, age_ms: float = 10, breaks: bool = False) -> Arrival:
    return replace(key(seq, at_ms, epoch=epoch, age_ms=age_ms, breaks=breaks), codec=Codec.JPEG)


def judged(arrivals: list[Arrival]) -> list[Judged]:
    """Offer all in turn, and report those that are decoded and break the decoder."""
    policy, tracker = FreshnessPolicy(MAX_AGE), SequenceTracker()
    seen = []
    for frame in arrivals:
        step = tracker.observe(frame.epoch, frame.seq, frame.now_ns)
        decision = policy.offer(frame.header, age_ns=frame.age_ns, now_ns=frame.now_ns)
        one = Judged(frame, step, decision)
        if one.decoded and frame.breaks:
            one = replace(one, asked_after=policy.broken(frame.now_ns))
            assert policy.awaiting_key
        seen.append(one)
    return seen


def decisions(*arrivals: Arrival) -> list[Decision]:
    return [one.decision for one in judged(list(arrivals))]


def verdicts(*arrivals: Arrival) -> list[Verdict]:
    return [decision.verdict for decision in decisions(*arrivals)]


def requests_ms(*arrivals: Arrival) -> list[int]:
    return [(one.arrival.now_ns - START) // MS for one in judged(list(arrivals)) if one.asked]


# Age ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_ms", "intra", "predicted"),
    [
        (-60_000, SHOW, SHOW),
        (0, SHOW, SHOW),
        (500, SHOW, SHOW),
        (500.000001, LATE, DECODE_ONLY),
        (60_000, LATE, DECODE_ONLY),
    ],
)
def test_the_limit_itself_is_fresh_and_a_nanosecond_more_is_not(
    age_ms: float, intra: Verdict, predicted: Verdict
) -> None:
    assert verdicts(jpeg(0), jpeg(1, age_ms=age_ms)) == [SHOW, intra]
    assert verdicts(key(0), delta(1, age_ms=age_ms)) == [SHOW, predicted]
    assert verdicts(key(0), key(1, age_ms=age_ms)) == [SHOW, predicted]


# Keyframes, gaps, resets -------------------------------------------------------------------------------


def test_joining_mid_stream_waits_for_a_keyframe_and_asks_for_one() -> None:
    assert decisions(delta(70), delta(71, 33), key(72, 66), delta(73, 99)) == [
        Decision(AWAITING, request_key=True),
        Decision(AWAITING),
        Decision(SHOW, reset=True),
        Decision(SHOW),
    ]


def test_nothing_is_shown_between_a_gap_and_the_next_keyframe() -> None:
    assert decisions(key(0), delta(1), delta(4), delta(5), key(6), delta(7)) == [
        Decision(SHOW, reset=True),
        Decision(SHOW),
        Decision(AWAITING, lost=2, request_key=True),
        Decision(AWAITING),
        Decision(SHOW, reset=True),
        Decision(SHOW),
    ]


# Another codec within an epoch ------------------------------------------------------------------------


def test_a_stream_that_changes_its_codec_begins_anew_each_time() -> None:
    frames = [key(0), jpeg(1), delta(2, 33), jpeg(3), delta(4, 66), key(5, 99), delta(6, 132)]
    assert verdicts(*frames) == [SHOW, SHOW, AWAITING, SHOW, AWAITING, SHOW, SHOW]
    assert [one.reset for one in decisions(*frames)] == [True, False, False, True, False, True, False]
    # A picture that stands alone is an answer as good as a keyframe: the next wait may ask again, soon.
    assert requests_ms(*frames) == [33]
    assert requests_ms(*frames[:4], delta(4, 300)) == [33, 300]


# A stream that came from a hub for a while --------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "decision"),
    [
        (delta(5), Decision(AWAITING, request_key=True)),
        (delta(4), Decision(DUPLICATE)),
        (key(7), Decision(SHOW, reset=True, lost=2)),
    ],
)
def test_after_a_hub_the_stream_begins_anew_with_newer_frames(after: Arrival, decision: Decision) -> None:
    policy = FreshnessPolicy(MAX_AGE)
    policy.offer(key(0).header, age_ns=0, now_ns=0)
    policy.adopt(1, 4, 0)
    assert (policy.awaiting_key, policy.refuses(1, 0)) == (True, False)
    assert policy.offer(after.header, age_ns=0, now_ns=0) == decision


# Decoder errors ----------------------------------------------------------------------------------------


def test_after_a_decoder_error_nothing_is_shown_before_the_next_keyframe() -> None:
    seen = decisions(key(0), delta(1, breaks=True), delta(2), key(3), delta(4))
    assert seen[2:] == [Decision(AWAITING), Decision(SHOW, reset=True), Decision(SHOW)]
    assert requests_ms(key(0), delta(1, 33, breaks=True), delta(2, 66)) == [33]


# Keyframe requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("second_ms", "asked_ms"), [(999, [0]), (1000, [0, 1000])])
def test_the_interval_between_requests_is_a_full_second(second_ms: int, asked_ms: list[int]) -> None:
    assert requests_ms(delta(0), delta(1, second_ms)) == asked_ms


def test_a_request_made_by_the_caller_counts() -> None:
    policy = FreshnessPolicy(MAX_AGE)
    policy.asked(0)
    assert not policy.offer(delta(5).header, age_ns=0, now_ns=SECOND - 1).request_key
    assert policy.offer(delta(6).header, age_ns=0, now_ns=SECOND).request_key
    policy.offer(key(7).header, age_ns=0, now_ns=SECOND)
    policy.asked(2 * SECOND)
    gap = policy.offer(delta(90).header, age_ns=0, now_ns=2 * SECOND + 1)
    assert gap == Decision(AWAITING, lost=82), "the gap of a reconnection: its join has asked already"


def test_a_stream_of_broken_keyframes_asks_once_a_second_not_once_a_frame() -> None:
    assert requests_ms(*(key(seq, seq * 100, breaks=True) for seq in range(25))) == [0, 1000, 2000]
    assert requests_ms(*(jpeg(seq, seq * 100, breaks=True) for seq in range(25))) == [0, 1000, 2000]


# Properties: any arrival times, gaps, repeats, reorderings, producers, keyframes, ages, decoder errors ----


@given(streams)
def test_agrees_with_the_rules_written_over_the_whole_history(arrivals: list[Arrival]) -> None:
    seen = judged(arrivals)
    for i, one in enumerate(seen):
        expected = reference_decision(seen[:i], one.arrival, one.step, MAX_AGE)
        assert one.decision == expected, f"frame {i}: {one.arrival}"
        if one.decoded and one.arrival.breaks:
            expected_ask = reference_asks_when_broken(seen[:i], one.arrival.now_ns)
            assert one.asked_after == expected_ask, f"decoder error at frame {i}: {one.arrival}"


@given(streams)
def test_nothing_older_than_max_age_is_shown_and_nothing_out_of_order(arrivals: list[Arrival]) -> None:
    last: dict[int, int] = {}
    for one in judged(arrivals):
        if one.step.continuity is Continuity.FIRST:  # the frames before may have been forged
            last.pop(one.arrival.epoch, None)
        if one.decoded:
            assert one.arrival.seq > last.get(one.arrival.epoch, -1)
            last[one.arrival.epoch] = one.arrival.seq
        if one.decision.verdict is SHOW:
            assert one.arrival.age_ns <= MAX_AGE


class StrictDecoder:
    """Refuses what a real decoder would turn into a smeared picture. It cannot judge the picture itself."""

    def __init__(self) -> None:
        self.reference: tuple[int, int, Codec] | None = None

    def decode(self, one: Judged) -> None:
        frame = one.arrival
        if one.decision.reset:
            self.reference = None
        if not frame.header.key:
            before = (frame.epoch, frame.seq - 1, frame.codec)
            assert self.reference == before, f"decoded without its reference: {frame}"
        elif self.reference is not None and self.reference[0] != frame.epoch:
            raise AssertionError(f"a new epoch without a reset: {frame}")
        self.reference = None if frame.breaks else (frame.epoch, frame.seq, frame.codec)


@given(streams)
@example([key(0), delta(1), key(0, epoch=2), delta(2, 2000), key(3, 2000)])
def test_everything_decoded_has_its_reference_and_every_epoch_its_reset(arrivals: list[Arrival]) -> None:
    decoder = StrictDecoder()
    for one in judged(arrivals):
        if one.decoded:
            decoder.decode(one)
        else:
            assert not one.decision.reset, "a reset that comes with a dropped frame can be missed"


@given(streams)
def test_after_each_gap_the_first_h264_frame_decoded_comes_with_a_reset(arrivals: list[Arrival]) -> None:
    due = True
    for one in judged(arrivals):
        if one.step.continuity in (Continuity.FIRST, Continuity.GAP) and not one.arrival.codec.intra_only:
            due = True
        if one.decoded:
            assert one.decision.reset or not due
            due = one.arrival.breaks


@given(streams)
def test_requests_are_a_second_apart_while_waiting_and_made_at_once(arrivals: list[Arrival]) -> None:
    seen = judged(arrivals)
    waits: list[list[Judged]] = [[]]
    for one in seen:
        if one.ends_wait:
            waits.append([])
        if one.decision.verdict is AWAITING:
            waits[-1].append(one)
    for wait in waits:
        asked = [one.arrival.now_ns for one in wait if one.asked]
        assert all(later - sooner >= SECOND for sooner, later in pairwise(asked))
    errors = [one.arrival.now_ns for one in seen if one.asked_after]
    assert all(later - sooner >= SECOND for sooner, later in pairwise(errors))


@given(streams)
def test_every_missing_frame_is_reported_lost_exactly_once(arrivals: list[Arrival]) -> None:
    total, missing, followed = 0, 0, []
    for one in judged(arrivals):
        total += one.decision.lost
        if one.step.continuity is Continuity.FIRST:
            followed = [one.arrival.seq]
        elif one.decision.verdict is not DUPLICATE:
            missing += len(set(range(followed[-1] + 1, one.arrival.seq)))
            followed.append(one.arrival.seq)
    assert total == missing
