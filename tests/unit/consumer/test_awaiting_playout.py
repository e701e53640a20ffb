from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.frame import Codec, FrameHeader
from fanlight.consumer.awaiting_playout import AwaitingPlayout
from fanlight.consumer.playout import LONGEST_CHAIN, Dropped, PlayoutStep
from fanlight.consumer.stats import Outcome
from tests.unit.consumer.test_playout import INTERVAL, MAX_AGE, MS, alone, arrived, outcomes, run

WAIT: Final = 80 * MS


class Answers:
    """What detectors have answered so far."""

    def __init__(self) -> None:
        self.seqs: set[int] = set()

    def complete(self, header: FrameHeader) -> bool:
        return header.seq in self.seqs


def playout() -> tuple[AwaitingPlayout, Answers]:
    answers = Answers()
    return AwaitingPlayout(WAIT, MAX_AGE, answers.complete), answers


def shown(step: PlayoutStep) -> int | None:
    return None if step.frame is None else step.frame.header.seq


def test_a_frame_waits_until_it_is_answered() -> None:
    waiting, answers = playout()
    waiting.push(alone(0, 0))
    step = waiting.take(10 * MS)
    assert (shown(step), step.wait_ns) == (None, 70 * MS)
    answers.seqs.add(0)
    assert shown(waiting.take(20 * MS)) == 0
    assert waiting.take(20 * MS) == PlayoutStep()


def test_a_frame_that_nobody_answers_is_shown_when_its_wait_is_over() -> None:
    waiting, _ = playout()
    waiting.push(alone(0, 0))
    waiting.push(alone(1, INTERVAL))
    assert shown(waiting.take(WAIT - 1)) is None
    step = waiting.take(WAIT)
    assert (shown(step), step.wait_ns, len(waiting)) == (0, INTERVAL, 1)
    assert shown(waiting.take(WAIT + INTERVAL)) == 1


def test_an_answer_that_is_there_before_its_frame_makes_the_playout_eager() -> None:
    waiting, answers = playout()
    answers.seqs.add(1)
    waiting.push(alone(0, 0))
    eager = [waiting.eager]
    waiting.push(alone(1, INTERVAL))
    eager.append(waiting.eager)
    assert eager == [False, True]
    step = waiting.take(INTERVAL)
    assert (shown(step), outcomes(step.dropped)) == (1, [(0, Outcome.SUPERSEDED)])


def test_frames_that_a_later_one_refers_to_are_decoded() -> None:
    waiting, answers = playout()
    frames = run(4)
    for frame in frames:
        waiting.push(frame)
    answers.seqs.add(2)
    step = waiting.take(10 * MS)
    assert shown(step) == 2
    assert step.decode == tuple(frames[:2])
    answers.seqs.add(3)
    assert waiting.take(10 * MS).decode == ()


def test_no_frame_is_shown_that_is_too_old() -> None:
    waiting, answers = playout()
    answers.seqs.add(0)
    waiting.push(alone(0, 0))
    step = waiting.take(MAX_AGE + 1)
    assert (shown(step), outcomes(step.dropped)) == (None, [(0, Outcome.LATE)])


def test_while_nobody_takes_them_frames_supersede_each_other() -> None:
    waiting, _ = playout()
    dropped: list[Dropped] = []
    for seq in range(1000):
        dropped += waiting.push(alone(seq, seq * INTERVAL)).dropped
    assert len(waiting) < 40
    assert len(dropped) + len(waiting) == 1000
    assert {old.outcome for old in dropped} == {Outcome.SUPERSEDED}


def test_while_nobody_takes_them_a_chain_ends_with_a_request_for_a_keyframe() -> None:
    waiting, _ = playout()
    broken = []
    dropped: list[Dropped] = []
    for frame in run(LONGEST_CHAIN + 40):
        pushed = waiting.push(frame)
        dropped += pushed.dropped
        broken.append(pushed.broken)
    assert broken.count(True) == 1
    assert len(dropped) + len(waiting) >= LONGEST_CHAIN + 1
    assert len(waiting) <= 40


def test_a_chain_that_breaks_as_it_is_taken_begins_anew_with_a_keyframe() -> None:
    waiting, answers = playout()
    frames = run(LONGEST_CHAIN + 10)
    for frame in frames:
        assert not waiting.push(frame).broken
    answers.seqs.add(LONGEST_CHAIN + 9)
    step = waiting.take(0)
    assert (shown(step), step.decode, len(waiting)) == (None, (), 0)
    pushed = waiting.push(arrived(LONGEST_CHAIN + 10, 0))
    assert (pushed.broken, outcomes(pushed.dropped)) == (True, [(LONGEST_CHAIN + 10, Outcome.AWAITING_KEY)])
    key = LONGEST_CHAIN + 11
    answers.seqs.add(key)
    assert not waiting.push(arrived(key, 0, key=True)).broken
    assert shown(waiting.take(0)) == key


def test_large_frames_wait_in_bounded_memory() -> None:
    waiting, _ = playout()
    body = bytes(6 * 1024 * 1024)
    for seq in range(10):
        waiting.push(arrived(seq, seq * MS, codec=Codec.JPEG, body=body))
    assert len(waiting) <= 3


def test_clearing_drops_every_frame_once() -> None:
    waiting, _ = playout()
    for seq in range(60):
        waiting.push(alone(seq, 0))
    count = len(waiting)
    assert count > 20
    assert outcomes(waiting.clear()) == [(seq, Outcome.AWAITING_KEY) for seq in range(60 - count, 60)]
    assert len(waiting) == 0
    assert waiting.clear() == ()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.booleans()),
        st.tuples(st.just("answer"), st.integers(0, 40)),
        st.tuples(st.just("take"), st.integers(0, 200)),
    ),
    max_size=80,
)


@given(STEPS, st.booleans())
def test_in_order_ready_fresh_and_each_accounted_for(
    steps: list[tuple[str, int]], inter_coded: bool
) -> None:
    """What is shown has been answered, or has waited, and refers to nothing that is missing."""
    waiting, answers = playout()
    now_ns = seq = 0
    presented: list[int] = []
    dropped: list[int] = []
    decoded: list[int] = []
    for what, value in steps:
        now_ns += 10 * MS
        if what == "answer":
            answers.seqs.add(value)
        elif what == "push":
            key = not seq or bool(value)
            frame = arrived(seq, now_ns, key=key) if inter_coded else alone(seq, now_ns)
            pushed = waiting.push(frame)
            assert not pushed.broken
            dropped += [old.frame.header.seq for old in pushed.dropped]
            seq += 1
        else:
            now_ns += value * MS
            step = waiting.take(now_ns)
            dropped += [old.frame.header.seq for old in step.dropped]
            decoded += [frame.header.seq for frame in step.decode]
            if step.frame is None:
                continue
            header = step.frame.header
            waited = now_ns - header.capture_ns
            assert answers.complete(header) or waited >= WAIT
            assert waited <= MAX_AGE
            presented.append(header.seq)
            decoded.append(header.seq)
            if inter_coded and not header.key:
                assert header.seq - 1 in decoded
    assert presented == sorted(set(presented))
    assert sorted([*presented, *dropped]) == list(range(seq - len(waiting)))
