from __future__ import annotations

import pytest

from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer import playout as playouts
from fanlight.consumer.playout import (
    Arrived,
    Dropped,
    Lateness,
    LatestPlayout,
    Pushed,
    SyncPlayout,
    Turn,
)
from fanlight.consumer.stats import Event
from tests.support.headers import header

MS = 1_000_000
SECOND = 1000 * MS
MAX_AGE = 500 * MS
DELAY = 150 * MS
FPS = 25.0
INTERVAL = 40 * MS
BEGIN = 36 * MS  # before a frame is due
STOP = 12 * MS
DECODED_AHEAD = 4  # unless told otherwise


def arrived(
    seq: int,
    capture_ns: int,
    *,
    key: bool = False,
    codec: Codec = Codec.H264,
    epoch: int = 1,
    fps: float = FPS,
    showable: bool = True,
    reset: bool = False,
    body: bytes = b"x",
) -> Arrived:
    key = key or codec.intra_only
    made = header(seq, codec, epoch=epoch, capture_ns=capture_ns, key=key, fps=fps)
    return Arrived(EncodedFrame(made, body), capture_ns, 0, reset, showable)


def alone(seq: int, capture_ns: int, *, epoch: int = 1, fps: float = FPS) -> Arrived:
    return arrived(seq, capture_ns, codec=Codec.JPEG, epoch=epoch, fps=fps)


def run(count: int, *, keys: tuple[int, ...] = (0,), epoch: int = 1) -> list[Arrived]:
    """Inter-coded frames, one after the other."""
    return [arrived(n, n * INTERVAL, key=n in keys, epoch=epoch) for n in range(count)]


def fates(dropped: tuple[Dropped, ...]) -> list[tuple[int, Event]]:
    return [(old.frame.header.seq, old.event) for old in dropped]


def seqs(frames: tuple[Arrived, ...]) -> list[int]:
    return [frame.header.seq for frame in frames]


def seq_of(frame: Arrived | None) -> int | None:
    return None if frame is None else frame.header.seq


def latest(*frames: Arrived) -> LatestPlayout:
    playout = LatestPlayout(MAX_AGE)
    for frame in frames:
        assert not playout.push(frame).broken
    return playout


def sync(*frames: Arrived) -> SyncPlayout:
    playout = SyncPlayout(DELAY, MAX_AGE)
    for frame in frames:
        assert playout.push(frame) == Pushed()
    return playout


def worked_on(playout: SyncPlayout, now_ns: int) -> list[Turn]:
    """All that can be done at this time, but for showing."""
    turns = []
    while (turn := playout.take(now_ns)).upcoming is not None or turn.ahead is not None:
        assert turn.frame is None
        turns.append(turn)
    return turns


# latest ------------------------------------------------------------------------------------------------


def test_latest_shows_a_frame_at_once_and_once() -> None:
    playout, frame = LatestPlayout(MAX_AGE), arrived(0, SECOND, key=True)
    assert playout.push(frame) == Pushed()
    assert playout.take(SECOND) == Turn(frame)
    assert playout.take(SECOND) == Turn()


def test_latest_shows_the_newest_only() -> None:
    playout = LatestPlayout(MAX_AGE)
    assert playout.push(alone(0, 0)) == Pushed()
    pushed = playout.push(alone(1, INTERVAL))
    assert (fates(pushed.dropped), pushed.broken) == ([(0, Event.SUPERSEDED)], False)
    turn = playout.take(INTERVAL)
    assert turn.frame is not None
    assert turn.frame.header.seq == 1
    assert turn.due_ns is None


@pytest.mark.parametrize(("age_ns", "shown"), [(MAX_AGE, True), (MAX_AGE + 1, False), (-SECOND, True)])
def test_latest_drops_what_grew_too_old_while_it_waited(age_ns: int, shown: bool) -> None:
    frame = arrived(0, SECOND, key=True)
    playout = latest(frame)
    turn = playout.take(SECOND + age_ns)
    assert (turn.frame is not None) is shown
    assert fates(turn.dropped) == ([] if shown else [(0, Event.LATE)])
    assert turn.decode == (() if shown else (frame,)), "later frames may refer to it"
    assert playout.take(SECOND + age_ns) == Turn()


def test_latest_hands_out_what_the_newest_frame_refers_to_in_order_and_once() -> None:
    frames = run(5)
    playout = latest(*frames[:4])
    assert playout.take(3 * INTERVAL) == Turn(frames[3], decode=tuple(frames[:3]))
    playout.push(frames[4])
    assert playout.take(4 * INTERVAL) == Turn(frames[4])


def test_latest_forgets_what_came_before_a_keyframe() -> None:
    frames = run(5, keys=(0, 3))
    assert latest(*frames).take(4 * INTERVAL) == Turn(frames[4], decode=(frames[3],))
    assert latest(*frames[:4]).take(3 * INTERVAL) == Turn(frames[3])


def test_latest_does_not_show_a_frame_that_is_only_there_to_be_referred_to() -> None:
    old, newer = arrived(0, 0, key=True, showable=False), arrived(1, SECOND)
    assert latest(old).take(SECOND) == Turn(decode=(old,)), "its fate has been told: it came too late"
    assert latest(old, newer).take(SECOND) == Turn(newer, decode=(old,))


def test_latest_gives_up_a_frame_as_late_if_one_behind_it_already_is() -> None:
    playout = latest(arrived(0, 0, key=True))
    pushed = playout.push(arrived(1, INTERVAL, showable=False))
    assert fates(pushed.dropped) == [(0, Event.LATE)]
    assert playout.take(INTERVAL).frame is None


def test_latest_breaks_the_chain_that_grew_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playouts, "_LONGEST_CHAIN", 3)
    frames = run(4)
    playout = latest(*frames[:3])
    pushed = playout.push(frames[3])
    assert pushed.broken
    assert fates(pushed.dropped) == [(2, Event.SUPERSEDED), (3, Event.AWAITING_KEY)]
    assert playout.take(3 * INTERVAL) == Turn()


# sync --------------------------------------------------------------------------------------------------


def test_sync_waits_for_the_time_of_the_frame() -> None:
    frame = arrived(0, SECOND, key=True)
    playout = sync(frame)
    assert playout.take(SECOND) == Turn(wait_ns=DELAY - BEGIN)
    assert playout.take(SECOND + DELAY - BEGIN) == Turn(wait_ns=BEGIN, upcoming=frame)
    assert playout.take(SECOND + DELAY - 1) == Turn(wait_ns=1)
    assert playout.take(SECOND + DELAY) == Turn(frame, due_ns=SECOND + DELAY)
    assert playout.take(SECOND + DELAY) == Turn()


def test_sync_skips_to_the_frame_whose_time_it_is() -> None:
    frames = run(4)
    playout = sync(*frames)
    turn = playout.take(2 * INTERVAL + DELAY)
    assert turn.frame is not None
    assert turn.frame.header.seq == 2
    assert fates(turn.dropped) == [(0, Event.SUPERSEDED), (1, Event.SUPERSEDED)]
    assert turn.decode == (frames[0], frames[1])
    # It cannot keep up: it decodes at once what is there, and works out no pixels before their time.
    turn = playout.take(2 * INTERVAL + DELAY)
    assert (turn.ahead, turn.upcoming, turn.wait_ns) == (frames[3], None, INTERVAL)
    assert playout.eager


@pytest.mark.parametrize(("keys", "decode"), [((0,), [0, 1, 2]), ((0, 2), [2]), ((0, 1, 3), [])])
def test_sync_hands_out_what_was_skipped_since_the_last_keyframe(
    keys: tuple[int, ...], decode: list[int]
) -> None:
    turn = sync(*run(5, keys=keys)).take(3 * INTERVAL + DELAY)
    assert seq_of(turn.frame) == 3
    assert seqs(turn.decode) == decode
    assert fates(turn.dropped) == [(n, Event.SUPERSEDED) for n in range(3)]


@pytest.mark.parametrize(("past_ns", "shown"), [(INTERVAL // 2, True), (INTERVAL // 2 + 1, False)])
def test_sync_drops_what_is_more_than_half_an_interval_past_its_time(past_ns: int, shown: bool) -> None:
    turn = sync(arrived(0, 0, key=True)).take(DELAY + past_ns)
    assert (turn.frame is not None) is shown
    assert fates(turn.dropped) == ([] if shown else [(0, Event.LATE)])


def test_sync_shows_what_is_late_again_within_a_second_for_it_cannot_keep_up() -> None:
    playout = sync(*run(3))
    assert fates(playout.take(DELAY + 21 * MS).dropped) == [(0, Event.LATE)]
    for n in (1, 2):
        turn = playout.take(DELAY + n * INTERVAL + 39 * MS)
        assert (seq_of(turn.frame), turn.due_ns, turn.dropped) == (n, DELAY + n * INTERVAL, ())


def test_sync_that_is_behind_shows_nothing_older_than_max_age() -> None:
    playout = sync(alone(0, 0), alone(1, INTERVAL))
    playout.take(DELAY + 21 * MS)
    assert fates(playout.take(INTERVAL + MAX_AGE + 1).dropped) == [(1, Event.LATE)]


@pytest.mark.parametrize(("after_ns", "again"), [(SECOND, True), (SECOND + 1, False), (-1, False)])
def test_one_late_frame_makes_the_next_second_lenient(after_ns: int, again: bool) -> None:
    """Unless the clock was set back in between."""
    lateness, now_ns = Lateness(), 5 * SECOND
    assert not lateness.behind(now_ns)
    assert not lateness.shows(21 * MS, FPS, now_ns)
    assert lateness.behind(now_ns + after_ns) is again
    assert lateness.shows(20 * MS, FPS, now_ns + after_ns), "half an interval is not late"
    assert lateness.shows(21 * MS, FPS, now_ns + after_ns) is again


def test_sync_drops_what_is_too_old_even_if_its_interval_is_long() -> None:
    assert sync(alone(0, 0, fps=0.1)).take(MAX_AGE).frame is not None
    assert fates(sync(alone(0, 0, fps=0.1)).take(MAX_AGE + 1).dropped) == [(0, Event.LATE)]


def test_sync_does_not_show_a_frame_that_is_only_there_to_be_referred_to() -> None:
    old, newer = arrived(0, 0, key=True, showable=False), arrived(1, INTERVAL)
    assert sync(old).take(DELAY) == Turn(decode=(old,)), "its fate has been told: it came too late"
    due_ns = INTERVAL + DELAY
    assert sync(old, newer).take(due_ns) == Turn(newer, due_ns, decode=(old,))


def test_sync_forgets_the_frames_of_a_producer_that_restarted() -> None:
    playout = sync(arrived(7, 0, key=True), arrived(8, INTERVAL))
    pushed = playout.push(arrived(0, 2 * INTERVAL, epoch=2, key=True))
    assert fates(pushed.dropped) == [(7, Event.SUPERSEDED), (8, Event.SUPERSEDED)]
    assert not pushed.broken
    turn = playout.take(2 * INTERVAL + DELAY)
    assert turn.frame is not None
    assert turn.frame.header.epoch == 2
    assert (turn.dropped, turn.decode) == ((), ())


def test_sync_prepares_the_first_frame_of_a_restarted_producer_anew() -> None:
    playout = sync(*run(5))
    assert len(worked_on(playout, DELAY - BEGIN)) == 1 + DECODED_AHEAD
    first, second = arrived(0, 0, epoch=2, key=True), arrived(1, INTERVAL, epoch=2)
    playout.push(first)
    playout.push(second)
    turns = worked_on(playout, DELAY - BEGIN)
    assert [turn.upcoming or turn.ahead for turn in turns] == [first, second]


def test_sync_holds_what_falls_into_its_delay_and_no_more() -> None:
    playout = SyncPlayout(SECOND, 2 * SECOND)
    pushes = [playout.push(alone(n, n, fps=1000)) for n in range(1000)]
    dropped = [old for pushed in pushes for old in pushed.dropped]
    assert fates(tuple(dropped)) == [(n, Event.SUPERSEDED) for n in range(1000 - 248)]
    assert not any(pushed.broken for pushed in pushes)


def test_sync_does_not_wait_an_hour_for_frames_of_a_clock_that_was_set_back() -> None:
    hour = 3600 * SECOND
    before = [arrived(n, hour + n * INTERVAL, key=n == 0) for n in range(3)]
    after = [arrived(n, n * INTERVAL) for n in range(3, 6)]
    playout = sync(*before)
    assert playout.push(after[0]) == Pushed(tuple(Dropped(old, Event.SUPERSEDED) for old in before))
    assert playout.push(after[1]) == Pushed()
    # What comes after may refer to them: they are decoded, and not shown.
    turn = playout.take(0)
    assert (turn.frame, turn.dropped, seqs(turn.decode)) == (None, (), [0, 1, 2])
    assert playout.take(3 * INTERVAL + DELAY).frame == after[0]
    assert playout.take(4 * INTERVAL + DELAY).frame == after[1]


def test_sync_bears_capture_times_that_step_back_a_little() -> None:
    frames = [alone(0, 100 * MS), alone(1, 95 * MS)]
    playout = sync(frames[0])
    assert playout.push(frames[1]) == Pushed()
    turn = playout.take(100 * MS + DELAY)
    assert (turn.frame, fates(turn.dropped)) == (frames[1], [(0, Event.SUPERSEDED)])


def test_sync_gives_up_all_before_the_first_keyframe_that_it_holds_if_there_are_too_many() -> None:
    capacity = sync()._capacity
    playout = sync(*run(capacity, keys=(0, 30, 40)))
    pushed = playout.push(arrived(capacity, capacity * INTERVAL))
    assert (fates(pushed.dropped), pushed.broken) == ([(n, Event.SUPERSEDED) for n in range(30)], False)
    turn = playout.take(30 * INTERVAL + DELAY)
    assert (seq_of(turn.frame), turn.decode) == (30, ())


def test_sync_gives_up_all_if_there_are_too_many_and_none_of_them_can_be_shown_alone() -> None:
    capacity = sync()._capacity
    playout = sync(*run(capacity))
    pushed = playout.push(arrived(capacity, capacity * INTERVAL))
    assert pushed.broken
    assert fates(pushed.dropped) == [(n, Event.SUPERSEDED) for n in range(capacity + 1)]
    assert playout.take(SECOND) == Turn()


def test_a_frame_from_the_far_future_does_not_block_the_others_for_good() -> None:
    """The producer's clock was set back."""
    playout = SyncPlayout(DELAY, MAX_AGE)
    playout.push(alone(0, 3600 * SECOND))
    shown = []
    for n in range(1, 200):
        playout.push(alone(n, n * INTERVAL))
        frame = playout.take(n * INTERVAL + DELAY).frame
        if frame is not None:
            shown.append(frame.header.seq)
    assert shown == list(range(shown[0], 200))
    assert shown[0] <= 60
