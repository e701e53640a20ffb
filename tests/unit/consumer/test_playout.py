from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.picture import BGR
from common.frame import Codec, FrameHeader
from consumer.playout import Dropped, LatestPlayout, Playout, Ready, SyncPlayout, Turn
from consumer.stats import Event

MS = 1_000_000
SECOND = 1000 * MS
MAX_AGE = 500 * MS
DELAY = 150 * MS
INTERVAL = SECOND // 30


@dataclass(frozen=True)
class NoPixels:
    def bgr(self) -> BGR:
        raise AssertionError("a playout must not decode")


def ready(seq: int, capture_ns: int, *, epoch: int = 1, fps: float = 30.0) -> Ready:
    header = FrameHeader(
        stream="cam", codec=Codec.H264, epoch=epoch, seq=seq, capture_ns=capture_ns,
        width=16, height=16, key=False, fps=fps,
    )  # fmt: skip
    return Ready(header, NoPixels(), capture_ns, 0)


def fates(dropped: tuple[Dropped, ...]) -> list[tuple[int, Event]]:
    return [(old.frame.header.seq, old.event) for old in dropped]


def sync(*frames: Ready) -> SyncPlayout:
    playout = SyncPlayout(DELAY, MAX_AGE)
    for frame in frames:
        assert playout.push(frame) == ()
    return playout


# latest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("playout", [LatestPlayout(MAX_AGE), SyncPlayout(DELAY, MAX_AGE)])
def test_nothing_is_shown_of_nothing(playout: Playout) -> None:
    assert playout.take(SECOND) == Turn()


def test_latest_shows_a_frame_at_once_and_once() -> None:
    playout, frame = LatestPlayout(MAX_AGE), ready(0, SECOND)
    playout.push(frame)
    assert playout.take(SECOND) == Turn(frame)
    assert playout.take(SECOND) == Turn()


def test_latest_keeps_the_newest_only() -> None:
    playout = LatestPlayout(MAX_AGE)
    assert playout.push(ready(0, 0)) == ()
    assert fates(playout.push(ready(1, INTERVAL))) == [(0, Event.SUPERSEDED)]
    turn = playout.take(INTERVAL)
    assert turn.frame is not None
    assert turn.frame.header.seq == 1
    assert turn.due_ns is None


@pytest.mark.parametrize(("age_ns", "shown"), [(MAX_AGE, True), (MAX_AGE + 1, False), (-SECOND, True)])
def test_latest_drops_what_grew_too_old_while_it_waited(age_ns: int, shown: bool) -> None:
    playout = LatestPlayout(MAX_AGE)
    playout.push(ready(0, SECOND))
    turn = playout.take(SECOND + age_ns)
    assert (turn.frame is not None) is shown
    assert fates(turn.dropped) == ([] if shown else [(0, Event.LATE)])
    assert playout.take(SECOND + age_ns) == Turn()


# sync --------------------------------------------------------------------------------------------------


def test_sync_waits_for_the_time_of_the_frame() -> None:
    frame = ready(0, SECOND)
    playout = sync(frame)
    assert playout.take(SECOND) == Turn(wait_ns=DELAY)
    assert playout.take(SECOND + DELAY - 1) == Turn(wait_ns=1)
    assert playout.take(SECOND + DELAY) == Turn(frame, due_ns=SECOND + DELAY)
    assert playout.take(SECOND + DELAY) == Turn()


def test_sync_shows_one_after_the_other_and_says_when_to_come_back() -> None:
    frames = [ready(n, n * INTERVAL) for n in range(4)]
    playout = sync(*frames)
    for n, frame in enumerate(frames):
        due_ns = n * INTERVAL + DELAY
        assert playout.take(due_ns) == Turn(frame, due_ns, (), INTERVAL if n < 3 else None)


def test_sync_skips_to_the_frame_whose_time_it_is() -> None:
    playout = sync(*(ready(n, n * INTERVAL) for n in range(4)))
    turn = playout.take(2 * INTERVAL + DELAY)
    assert turn.frame is not None
    assert turn.frame.header.seq == 2
    assert fates(turn.dropped) == [(0, Event.SUPERSEDED), (1, Event.SUPERSEDED)]
    assert turn.wait_ns == INTERVAL


@pytest.mark.parametrize(("past_ns", "shown"), [(INTERVAL // 2, True), (INTERVAL // 2 + 1, False)])
def test_sync_drops_what_is_more_than_half_an_interval_past_its_time(past_ns: int, shown: bool) -> None:
    turn = sync(ready(0, 0)).take(DELAY + past_ns)
    assert (turn.frame is not None) is shown
    assert fates(turn.dropped) == ([] if shown else [(0, Event.LATE)])


def test_sync_drops_what_is_too_old_even_if_its_interval_is_long() -> None:
    assert sync(ready(0, 0, fps=0.1)).take(MAX_AGE).frame is not None
    assert fates(sync(ready(0, 0, fps=0.1)).take(MAX_AGE + 1).dropped) == [(0, Event.LATE)]


def test_sync_forgets_the_frames_of_a_producer_that_restarted() -> None:
    playout = sync(ready(7, 0), ready(8, INTERVAL))
    assert fates(playout.push(ready(0, 2 * INTERVAL, epoch=2))) == [
        (7, Event.SUPERSEDED),
        (8, Event.SUPERSEDED),
    ]
    turn = playout.take(2 * INTERVAL + DELAY)
    assert turn.frame is not None
    assert turn.frame.header.epoch == 2
    assert turn.dropped == ()


def test_sync_holds_what_falls_into_its_delay_and_no_more() -> None:
    playout = SyncPlayout(SECOND, 2 * SECOND)
    dropped = [old for n in range(1000) for old in playout.push(ready(n, n, fps=1000))]
    assert fates(tuple(dropped)) == [(n, Event.SUPERSEDED) for n in range(1000 - 248)]


def test_a_frame_from_the_far_future_does_not_block_the_others_for_good() -> None:
    """The producer's clock was set back."""
    playout = SyncPlayout(DELAY, MAX_AGE)
    playout.push(ready(0, 3600 * SECOND))
    shown = []
    for n in range(1, 200):
        playout.push(ready(n, n * INTERVAL))
        frame = playout.take(n * INTERVAL + DELAY).frame
        if frame is not None:
            shown.append(frame.header.seq)
    assert shown == list(range(shown[0], 200))
    assert shown[0] <= 60


# both --------------------------------------------------------------------------------------------------

Step = tuple[int, int | None, bool]
# (time passes, age of a frame that is pushed or None, whether the presenter comes by)
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5 * MS, INTERVAL, INTERVAL, 2 * INTERVAL, 170 * MS, SECOND]),
        st.one_of(st.none(), st.integers(-50 * MS, 600 * MS), st.just(10 * MS)),
        st.booleans(),
    ),
    max_size=80,
)


@pytest.mark.parametrize("mode", ["latest", "sync"])
@given(steps=steps, restart=st.integers(0, 80))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_is_shown_is_in_order_fresh_and_not_early(mode: str, steps: list[Step], restart: int) -> None:
    playout: Playout = LatestPlayout(MAX_AGE) if mode == "latest" else SyncPlayout(DELAY, MAX_AGE)
    now_ns = 10 * SECOND
    pushed: list[Ready] = []
    shown: list[Ready] = []
    dropped: list[Dropped] = []
    for number, (pause_ns, age_ns, takes) in enumerate(steps):
        now_ns += pause_ns
        if age_ns is not None:
            epoch = 2 if number >= restart else 1
            pushed.append(ready(number, now_ns - age_ns, epoch=epoch))
            dropped += playout.push(pushed[-1])
        if takes:
            turn = playout.take(now_ns)
            dropped += turn.dropped
            assert turn.wait_ns is None or turn.wait_ns > 0
            if turn.frame is not None:
                shown.append(turn.frame)
                assert now_ns - turn.frame.header.capture_ns <= MAX_AGE
                assert turn.due_ns is None or 0 <= now_ns - turn.due_ns <= INTERVAL // 2 + 1
                assert (turn.due_ns is None) is (mode == "latest")
    order = [frame.header.seq for frame in shown]
    assert order == sorted(set(order))
    # Every frame has one fate; the rest of them is still held, and comes out in the end.
    turn = playout.take(now_ns + 3600 * SECOND)
    assert turn.frame is None
    done = order + [old.frame.header.seq for old in (*dropped, *turn.dropped)]
    assert sorted(done) == [frame.header.seq for frame in pushed]
