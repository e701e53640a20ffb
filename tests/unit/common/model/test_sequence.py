from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.sequence import Continuity, SequenceTracker, Step
from tests.unit.common.arrivals import ACCEPTED, SECOND, Arrival, reference_step, streams

FIRST = Step(Continuity.FIRST)
NEXT = Step(Continuity.NEXT)
DUPLICATE = Step(Continuity.DUPLICATE)
OTHER = Step(Continuity.OTHER_PRODUCER)


def gap(lost: int) -> Step:
    return Step(Continuity.GAP, lost)


def steps(*frames: tuple[int, int], takeover_ns: int = SECOND) -> list[Step]:
    """Observe (epoch, seq) pairs, all in the same instant."""
    tracker = SequenceTracker(takeover_ns)
    return [tracker.observe(epoch, seq, 0) for epoch, seq in frames]


def test_epoch_zero_and_the_largest_are_epochs_like_others() -> None:
    top = 2**63 - 1
    assert steps((0, 0), (0, 1), (top, 0), (top, top)) == [FIRST, NEXT, FIRST, FIRST]


def test_the_last_eight_epochs_are_remembered_and_no_more() -> None:
    restarts = [(epoch, 0) for epoch in range(10)]
    assert steps(*restarts, (1, 1)) == [FIRST] * 10 + [OTHER]
    assert steps(*restarts, (0, 1)) == [FIRST] * 11, "memory is bounded: a ninth one back is forgotten"


def test_an_epoch_that_came_back_and_left_again_is_remembered() -> None:
    back = [(1, 0), (2, 0), (1, 1)]
    tracker = SequenceTracker(takeover_ns=SECOND)
    for now_ns, (epoch, seq) in enumerate(back[:2]):
        tracker.observe(epoch, seq, now_ns)
    assert tracker.observe(1, 1, 5 * SECOND) == FIRST
    for epoch in range(3, 11):
        assert tracker.observe(epoch, 0, 5 * SECOND) == FIRST
    assert tracker.observe(1, 2, 5 * SECOND) == OTHER
    assert tracker.observe(2, 1, 5 * SECOND) == FIRST, "the ninth one back"


# One forged message -------------------------------------------------------------------------------------

TOP = 2**63 - 1
FRAME = SECOND // 30


def disturbed(*forged: tuple[int, int], joined: bool = True) -> tuple[list[Step], list[int]]:
    """Frames of epoch 1 at 30 fps for 10 s; after 2 s, or first of all, the forged ones at once.

    Returns what was said of the forged ones, and which of the real ones were followed.
    """
    tracker = SequenceTracker(takeover_ns=SECOND)
    said: list[Step] = []
    followed = []
    for seq in range(300):
        if seq == (60 if joined else 0):
            said = [tracker.observe(epoch, number, seq * FRAME) for epoch, number in forged]
        if tracker.observe(1, seq, seq * FRAME).continuity in ACCEPTED:
            followed.append(seq)
    return said, followed


@pytest.mark.parametrize("joined", [True, False], ids=["in the middle", "before all others"])
@pytest.mark.parametrize(
    "forged",
    [
        [(1, TOP)],
        [(1, 1000)],
        [(1, TOP - 1), (1, TOP)],
        [(1, 1000), (1, 1001), (1, TOP)],
        [(1, TOP), (2, 0)],
        [(2, TOP)],
        [(2, TOP), (2, TOP - 1), (1, TOP)],
    ],
)
def test_a_forged_number_or_epoch_is_left_after_a_second(
    forged: list[tuple[int, int]], joined: bool
) -> None:
    said, followed = disturbed(*forged, joined=joined)
    missed = sorted(set(range(300)) - set(followed))
    assert len(missed) <= 31
    assert followed == sorted(followed)
    assert sum(step.lost for step in said) <= 1000, "nobody lost what was never sent"


def test_a_jump_that_goes_on_is_followed() -> None:
    """For instance, the producer of a hub that was suspended for a day."""
    tracker = SequenceTracker(takeover_ns=SECOND)
    tracker.observe(1, 0, 0)
    assert tracker.observe(1, 10**7, SECOND) == FIRST, "how many are lost is not known"
    assert tracker.observe(1, 10**7 + 1, SECOND) == NEXT
    assert tracker.observe(1, 10**7 + 9, SECOND) == gap(7)


def test_a_frame_that_was_received_never_comes_again() -> None:
    tracker = SequenceTracker(takeover_ns=SECOND)
    for seq in (0, 1, 2, 5, 6):
        tracker.observe(1, seq, 0)
    assert [tracker.observe(1, seq, 9 * SECOND) for seq in (6, 5)] == [DUPLICATE] * 2


# A stream that came from a hub for a while --------------------------------------------------------------


def adopted(epoch: int, seq: int, now_ns: int = 0) -> SequenceTracker:
    """Followed epoch 1 up to frame 9, which a hub then brought up to this one."""
    tracker = SequenceTracker(takeover_ns=SECOND)
    tracker.observe(1, 9, 0)
    tracker.adopt(epoch, seq, now_ns)
    return tracker


def test_frames_that_a_hub_brought_are_neither_lost_nor_new() -> None:
    assert adopted(1, 12).observe(1, 12, 0) == DUPLICATE
    assert adopted(1, 12).observe(1, 13, 0) == NEXT
    assert adopted(1, 12).observe(1, 15, 0) == gap(2)


def test_a_hub_that_lags_makes_nothing_new_again() -> None:
    assert adopted(1, 7).observe(1, 9, 0) == DUPLICATE
    assert adopted(1, 7).observe(1, 10, 0) == NEXT


def test_a_producer_that_a_hub_showed_is_the_one_that_is_followed() -> None:
    tracker = adopted(2, 4)
    assert tracker.observe(1, 10, 0) == OTHER
    assert tracker.observe(2, 5, 0) == NEXT


def test_a_hub_keeps_the_epoch_that_was_left_from_coming_back() -> None:
    tracker = adopted(2, 4)
    tracker.adopt(2, 40, SECOND)
    assert tracker.observe(1, 10, 2 * SECOND - 1) == OTHER
    assert tracker.observe(1, 10, 2 * SECOND) == FIRST


def test_a_hub_that_comes_first_begins_the_count() -> None:
    tracker = SequenceTracker()
    tracker.adopt(1, 4, 0)
    assert [tracker.observe(1, seq, 0) for seq in (4, 5)] == [DUPLICATE, NEXT]


def test_frames_are_refused_as_long_as_their_epoch_may_not_come_back() -> None:
    tracker = SequenceTracker(takeover_ns=SECOND)
    assert not tracker.refuses(1, 0)
    tracker.observe(1, 0, 0)
    tracker.observe(2, 0, 0)
    assert [tracker.refuses(epoch, SECOND - 1) for epoch in (1, 2, 3)] == [True, False, False]
    assert not tracker.refuses(1, SECOND)


@given(streams, st.lists(st.booleans(), min_size=60, max_size=60))
def test_frames_of_stream_and_hub_are_followed_in_order(
    arrivals: list[Arrival], shared: list[bool]
) -> None:
    tracker = SequenceTracker(SECOND)
    last: dict[int, int] = {}
    for frame, by_hub in zip(arrivals, shared, strict=False):
        newer = frame.seq > last.get(frame.epoch, -1)
        if by_hub:
            follows = newer and not tracker.refuses(frame.epoch, frame.now_ns)
            if follows:
                tracker.adopt(frame.epoch, frame.seq, frame.now_ns)
        else:
            step = tracker.observe(frame.epoch, frame.seq, frame.now_ns)
            follows = step.continuity in ACCEPTED
            assert newer or step.continuity in (Continuity.FIRST, DUPLICATE.continuity, OTHER.continuity)
        if follows:
            last[frame.epoch] = frame.seq


def observed(arrivals: list[Arrival], takeover_ns: int = SECOND) -> list[tuple[Arrival, Step]]:
    tracker = SequenceTracker(takeover_ns)
    return [(frame, tracker.observe(frame.epoch, frame.seq, frame.now_ns)) for frame in arrivals]


@given(streams, st.sampled_from([0, 400_000_000, SECOND]))
def test_agrees_with_the_rules_written_over_the_whole_history(
    arrivals: list[Arrival], takeover_ns: int
) -> None:
    seen = observed(arrivals, takeover_ns)
    for index, (frame, step) in enumerate(seen):
        assert step == reference_step(seen[:index], frame, takeover_ns), f"frame {index}: {frame}"


@given(streams)
def test_what_is_followed_is_in_order_within_each_epoch(arrivals: list[Arrival]) -> None:
    last: dict[int, int] = {}
    for frame, step in observed(arrivals):
        if step.continuity is Continuity.FIRST:
            last.pop(frame.epoch, None)
        if step.continuity in ACCEPTED:
            assert frame.seq > last.get(frame.epoch, -1)
            last[frame.epoch] = frame.seq


@given(streams)
def test_lost_frames_and_followed_frames_add_up(arrivals: list[Arrival]) -> None:
    stays: list[list[tuple[int, int]]] = []
    for frame, step in observed(arrivals):
        if step.continuity is Continuity.FIRST:
            stays.append([])
            assert step.lost == 0
        if step.continuity in ACCEPTED:
            stays[-1].append((frame.seq, step.lost))
        else:
            assert step.lost == 0
    for stay in stays:
        seqs = {seq for seq, _ in stay}
        missing = set(range(min(seqs), max(seqs))) - seqs
        assert sum(lost for _, lost in stay) == len(missing)


# The end -------------------------------------------------------------------------------------------------


def test_the_end_of_the_current_producer_tells_what_was_lost_before_it() -> None:
    tracker = SequenceTracker(takeover_ns=SECOND)
    assert tracker.ended(1, 5, 0) == 0, "nothing was received: nothing is missing"
    tracker.observe(1, 5, 0)
    assert [tracker.ended(1, seq, FRAME) for seq in (5, 7, 4, TOP)] == [0, 2, 0, 0]


def test_the_end_of_another_producer_is_not_the_end() -> None:
    tracker = SequenceTracker(takeover_ns=SECOND)
    tracker.observe(1, 5, 0)
    tracker.observe(2, 0, 0)
    assert [tracker.ended(epoch, 9, 10 * SECOND) for epoch in (1, 3)] == [None, None]
