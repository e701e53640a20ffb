from __future__ import annotations

import pytest

from fanlight.common.model.frame import Codec
from fanlight.consumer import encoded_playout
from fanlight.consumer.encoded_playout import EncodedPlayout
from fanlight.consumer.playout import IDLE, Pushed, ReceivedFrame
from fanlight.consumer.stats import Outcome
from tests.unit.consumer.test_playout import INTERVAL, MAX_AGE, alone, arrived, outcomes, run, seq_of


def playout(*frames: ReceivedFrame) -> EncodedPlayout:
    made = EncodedPlayout(MAX_AGE)
    for frame in frames:
        assert made.push(frame) == Pushed()
    return made


def taken(made: EncodedPlayout, now_ns: int) -> list[int | None]:
    """The frames that a program gets which asks until there is nothing."""
    got = []
    while (step := made.take(now_ns)) is not IDLE:
        assert step.due_ns is None
        got.append(seq_of(step.frame))
    return got


def test_every_frame_comes_in_order_and_is_kept_until_it_is_taken() -> None:
    made = playout(*run(9))
    assert len(made) == 9
    assert taken(made, 9 * INTERVAL) == list(range(9))
    assert len(made) == 0


def test_a_keyframe_supersedes_what_waits() -> None:
    first, second, key, after = run(4, keys=(0, 2))
    made = playout(first, second)
    made.take(0)
    assert outcomes(made.push(key).dropped) == [(1, Outcome.SUPERSEDED)]
    assert made.push(after) == Pushed()
    assert taken(made, 4 * INTERVAL) == [2, 3]


def test_of_frames_that_stand_alone_the_newest_comes() -> None:
    made = EncodedPlayout(MAX_AGE)
    for seq in range(3):
        made.push(alone(seq, seq * INTERVAL))
    assert taken(made, 3 * INTERVAL) == [2]


def test_a_program_that_is_too_slow_goes_on_with_the_next_keyframe_and_requests_none() -> None:
    made = playout(*run(9))
    assert seq_of(made.take(MAX_AGE).frame) == 0
    step = made.take(MAX_AGE + INTERVAL + 1)
    assert step.frame is None
    assert outcomes(step.dropped) == [
        (1, Outcome.LATE),
        *((seq, Outcome.AWAITING_KEY) for seq in range(2, 9)),
    ]
    refused = made.push(arrived(9, 9 * INTERVAL))
    assert (outcomes(refused.dropped), refused.broken) == ([(9, Outcome.AWAITING_KEY)], False)
    assert made.push(arrived(10, 10 * INTERVAL, key=True)) == Pushed()
    assert made.push(arrived(11, 11 * INTERVAL)) == Pushed()
    assert taken(made, 11 * INTERVAL) == [10, 11]


@pytest.mark.parametrize("key", [True, False])
def test_after_a_frame_that_came_too_late_a_keyframe_is_requested(key: bool) -> None:
    made = playout(*run(2))
    pushed = made.push(arrived(2, 0, key=key, showable=False))
    assert pushed.broken
    assert [seq for seq, _ in outcomes(pushed.dropped)] == [0, 1], "the late one was counted on arrival"
    assert outcomes(made.push(arrived(3, 3 * INTERVAL)).dropped) == [(3, Outcome.AWAITING_KEY)]
    assert made.push(arrived(4, 4 * INTERVAL, showable=False)) == Pushed()
    assert taken(made, 5 * INTERVAL) == []


@pytest.mark.parametrize("name", ["LONGEST_CHAIN", "MOST_BYTES"])
def test_a_program_that_takes_nothing_costs_little_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded_playout, name, 3)
    made = EncodedPlayout(MAX_AGE)
    dropped = [old for frame in run(20) for old in made.push(frame).dropped]
    assert len(dropped) == 20
    assert {old.outcome for old in dropped} == {Outcome.AWAITING_KEY}
    assert len(made) == 0


def test_after_what_was_dropped_from_outside_the_next_keyframe_comes() -> None:
    made = playout(*run(3))
    assert [seq for seq, _ in outcomes(made.clear())] == [0, 1, 2]
    made.push(arrived(3, 0))
    made.push(arrived(4, 0, key=True, codec=Codec.H264))
    assert taken(made, 0) == [4]
