"""What `sync` lets the consumer work on before a frame is due, and what a reset becomes."""

from __future__ import annotations

import pytest

from fanlight.consumer.playout import SyncPlayout, Turn
from fanlight.consumer.stats import Event
from tests.unit.consumer.test_playout import (
    BEGIN,
    DECODED_AHEAD,
    DELAY,
    INTERVAL,
    MAX_AGE,
    STOP,
    arrived,
    fates,
    latest,
    run,
    sync,
    worked_on,
)

# sync: work before a frame is due ----------------------------------------------------------------------


def test_sync_tells_the_upcoming_frame_however_little_time_is_left() -> None:
    frames = run(1)
    assert sync(*frames).take(DELAY - 1) == Turn(wait_ns=1, upcoming=frames[0])


@pytest.mark.parametrize("decoded_ahead", [0, 2, 3])
def test_sync_decodes_as_many_ahead_as_it_was_told_to(decoded_ahead: int) -> None:
    frames = run(10)
    playout = SyncPlayout(DELAY, MAX_AGE, decoded_ahead)
    for frame in frames:
        playout.push(frame)
    turns = worked_on(playout, DELAY - BEGIN)
    assert [turn.upcoming or turn.ahead for turn in turns] == frames[: 1 + decoded_ahead]


def test_sync_decodes_one_more_ahead_for_each_that_was_shown() -> None:
    frames = run(10)
    playout = sync(*frames)
    worked_on(playout, DELAY - BEGIN)
    assert playout.take(DELAY).frame is frames[0]
    turns = worked_on(playout, DELAY + INTERVAL - BEGIN)
    assert [turn.upcoming for turn in turns] == [frames[1], None], "its pixels, though it was decoded"
    assert [turn.ahead for turn in turns] == [None, frames[1 + DECODED_AHEAD]]


def test_sync_stops_decoding_ahead_before_the_frame_is_due() -> None:
    frames = run(3)
    playout = sync(*frames)
    playout.take(DELAY - BEGIN)
    assert playout.take(DELAY - STOP - 1).ahead is frames[1]
    assert playout.take(DELAY - STOP) == Turn(wait_ns=STOP)


def test_sync_decodes_ahead_what_arrives_while_it_waits() -> None:
    frames = run(2)
    playout = sync(frames[0])
    assert len(worked_on(playout, DELAY - BEGIN)) == 1
    playout.push(frames[1])
    assert playout.take(DELAY - BEGIN) == Turn(wait_ns=BEGIN, ahead=frames[1])


def test_sync_does_not_hand_out_again_ahead_what_was_given_up_before_it() -> None:
    capacity = sync()._capacity
    frames = run(capacity, keys=(0, 2))
    playout = sync(*frames)
    worked_on(playout, DELAY - BEGIN)
    assert fates(playout.push(arrived(capacity, capacity * INTERVAL)).dropped) == [
        (0, Event.SUPERSEDED),
        (1, Event.SUPERSEDED),
    ]
    turns = worked_on(playout, 2 * INTERVAL + DELAY - BEGIN)
    assert [turn.upcoming for turn in turns] == [frames[2], None, None]
    assert [turn.ahead for turn in turns] == [None, frames[5], frames[6]]


def test_sync_that_is_behind_decodes_ahead_and_leaves_the_pixels_until_it_knows_whether_to_show() -> None:
    frames = run(6)
    playout = sync(*frames)
    late_ns = DELAY + INTERVAL // 2 + 1
    assert fates(playout.take(late_ns).dropped) == [(0, Event.LATE)]
    turns = worked_on(playout, late_ns)
    assert [turn.upcoming for turn in turns] == [None] * (1 + DECODED_AHEAD)
    assert [turn.ahead for turn in turns] == frames[1:]


# a reset must not be lost with the frame that brought it -------------------------------------------------


def test_latest_hands_a_reset_on_to_the_keyframe_that_supersedes_its_frame() -> None:
    playout = latest(arrived(0, 0, epoch=2, key=True, reset=True), arrived(1, INTERVAL, epoch=2, key=True))
    frame = playout.take(INTERVAL).frame
    assert frame is not None
    assert frame.reset


def test_sync_hands_a_reset_on_to_the_keyframe_that_supersedes_its_frame() -> None:
    playout = sync(arrived(0, 0, epoch=2, key=True, reset=True), arrived(1, INTERVAL, epoch=2, key=True))
    turn = playout.take(INTERVAL + DELAY)
    assert turn.frame is not None
    assert any(frame.reset for frame in (*turn.decode, turn.frame))


def test_a_rate_next_to_nothing_is_survived() -> None:
    """`fps` is a stranger's word: 0.9 frame intervals of it are more than a number can hold."""
    playout = sync(arrived(0, 0, key=True, fps=1e-310))
    turn = playout.take(0)
    assert turn.wait_ns is not None
    assert 0 <= turn.wait_ns <= DELAY


def test_frames_that_were_decoded_ahead_are_still_the_same_when_the_clock_is_set_back() -> None:
    """Whoever decoded them knows them by who they are, and would decode others a second time."""
    hour = 3600 * 1_000_000_000
    frames = [arrived(n, hour + n * INTERVAL, key=n == 0) for n in range(6)]
    playout = sync(*frames)
    worked_on(playout, hour + DELAY - BEGIN)
    playout.push(arrived(6, 6 * INTERVAL))
    decode = playout.take(0).decode
    assert len(decode) == len(frames)
    assert all(old is frame for old, frame in zip(decode, frames, strict=True))
