from __future__ import annotations

from collections.abc import Callable

import pytest

from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer import playout as playouts
from fanlight.consumer.playout import (
    Dropped,
    LatenessRule,
    LatestPlayout,
    PlayoutStep,
    Pushed,
    ReceivedFrame,
    SyncPlayout,
)
from fanlight.consumer.stats import Outcome
from tests.support.headers import header

MS = 1_000_000
SECOND = 1000 * MS
MAX_AGE = 500 * MS
DELAY = 150 * MS
FPS = 25.0
INTERVAL = 40 * MS
BEGIN = 36 * MS  # before a frame is due
STOP = 12 * MS
DECODED_AHEAD = 4  # by default


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
) -> ReceivedFrame:
    key = key or codec.intra_only
    made = header(seq, codec, epoch=epoch, capture_ns=capture_ns, key=key, fps=fps)
    return ReceivedFrame(EncodedFrame(made, body), capture_ns, 0, reset, showable)


def alone(seq: int, capture_ns: int, *, epoch: int = 1, fps: float = FPS) -> ReceivedFrame:
    return arrived(seq, capture_ns, codec=Codec.JPEG, epoch=epoch, fps=fps)


def run(count: int, *, keys: tuple[int, ...] = (0,), epoch: int = 1) -> list[ReceivedFrame]:
    """Inter-coded frames, one after the other."""
    return [arrived(n, n * INTERVAL, key=n in keys, epoch=epoch) for n in range(count)]


def outcomes(dropped: tuple[Dropped, ...]) -> list[tuple[int, Outcome]]:
    return [(old.frame.header.seq, old.outcome) for old in dropped]


def seqs(frames: tuple[ReceivedFrame, ...]) -> list[int]:
    return [frame.header.seq for frame in frames]


def seq_of(frame: ReceivedFrame | None) -> int | None:
    return None if frame is None else frame.header.seq


def latest(*frames: ReceivedFrame) -> LatestPlayout:
    playout = LatestPlayout(MAX_AGE)
    for frame in frames:
        assert not playout.push(frame).broken
    return playout


def sync(*frames: ReceivedFrame) -> SyncPlayout:
    playout = SyncPlayout(DELAY, MAX_AGE)
    for frame in frames:
        assert playout.push(frame) == Pushed()
    return playout


PlayoutOf = Callable[..., LatestPlayout | SyncPlayout]


def worked_on(playout: SyncPlayout, now_ns: int) -> list[PlayoutStep]:
    """All that can be done at this time, but for showing."""
    steps = []
    while (step := playout.take(now_ns)).prepare is not None or step.decode_ahead is not None:
        assert step.frame is None
        steps.append(step)
    return steps


# latest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_ns", "shown"), [(MAX_AGE, True), (MAX_AGE + 1, False), (-SECOND, True)])
def test_latest_drops_what_grew_too_old_while_it_waited(age_ns: int, shown: bool) -> None:
    frame = arrived(0, SECOND, key=True)
    playout = latest(frame)
    step = playout.take(SECOND + age_ns)
    assert (step.frame is not None) is shown
    assert outcomes(step.dropped) == ([] if shown else [(0, Outcome.LATE)])
    assert step.decode == (() if shown else (frame,)), "later frames may refer to it"
    assert playout.take(SECOND + age_ns) == PlayoutStep()


def test_latest_gives_out_the_newest_frame_and_what_it_refers_to_once() -> None:
    frames = run(5)
    playout = latest(*frames[:4])
    assert playout.take(3 * INTERVAL) == PlayoutStep(frames[3], decode=tuple(frames[:3]))
    playout.push(frames[4])
    assert playout.take(4 * INTERVAL) == PlayoutStep(frames[4])


def test_latest_forgets_what_came_before_a_keyframe() -> None:
    frames = run(5, keys=(0, 3))
    assert latest(*frames).take(4 * INTERVAL) == PlayoutStep(frames[4], decode=(frames[3],))
    assert latest(*frames[:4]).take(3 * INTERVAL) == PlayoutStep(frames[3])


@pytest.mark.parametrize("playout_of", [latest, sync])
def test_a_frame_that_is_only_referred_to_is_not_shown(playout_of: PlayoutOf) -> None:
    old, newer = arrived(0, 0, key=True, showable=False), arrived(1, INTERVAL)
    now_ns = INTERVAL + DELAY
    assert playout_of(old).take(now_ns) == PlayoutStep(decode=(old,)), "it is counted already: too late"
    step = playout_of(old, newer).take(now_ns)
    assert (step.frame, step.decode, step.dropped) == (newer, (old,), ())


def test_latest_gives_up_a_frame_as_late_if_the_next_one_already_is() -> None:
    pushed = latest(arrived(0, 0, key=True)).push(arrived(1, INTERVAL, showable=False))
    assert outcomes(pushed.dropped) == [(0, Outcome.LATE)]


def test_latest_breaks_the_chain_that_grew_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playouts, "LONGEST_CHAIN", 3)
    frames = run(4)
    playout = latest(*frames[:3])
    pushed = playout.push(frames[3])
    assert pushed.broken
    assert outcomes(pushed.dropped) == [(2, Outcome.SUPERSEDED), (3, Outcome.AWAITING_KEY)]
    assert playout.take(3 * INTERVAL) == PlayoutStep()


# sync --------------------------------------------------------------------------------------------------


def test_sync_waits_for_the_time_of_the_frame() -> None:
    frame = arrived(0, SECOND, key=True)
    playout = sync(frame)
    assert playout.take(SECOND) == PlayoutStep(wait_ns=DELAY - BEGIN)
    assert playout.take(SECOND + DELAY - BEGIN) == PlayoutStep(wait_ns=BEGIN, prepare=frame)
    assert playout.take(SECOND + DELAY - 1) == PlayoutStep(wait_ns=1)
    assert playout.take(SECOND + DELAY) == PlayoutStep(frame, due_ns=SECOND + DELAY)
    assert playout.take(SECOND + DELAY) == PlayoutStep()


@pytest.mark.parametrize(("keys", "decode"), [((0,), [0, 1, 2]), ((0, 2), [2]), ((0, 1, 3), [])])
def test_sync_gives_out_what_was_skipped_since_the_last_keyframe(
    keys: tuple[int, ...], decode: list[int]
) -> None:
    step = sync(*run(5, keys=keys)).take(3 * INTERVAL + DELAY)
    assert seq_of(step.frame) == 3
    assert seqs(step.decode) == decode
    assert outcomes(step.dropped) == [(n, Outcome.SUPERSEDED) for n in range(3)]


@pytest.mark.parametrize(("past_ns", "shown"), [(INTERVAL // 2, True), (INTERVAL // 2 + 1, False)])
def test_sync_drops_what_is_more_than_half_an_interval_past_its_time(past_ns: int, shown: bool) -> None:
    step = sync(arrived(0, 0, key=True)).take(DELAY + past_ns)
    assert (step.frame is not None) is shown
    assert outcomes(step.dropped) == ([] if shown else [(0, Outcome.LATE)])


@pytest.mark.parametrize(("after_ns", "again"), [(SECOND, True), (SECOND + 1, False), (-1, False)])
def test_one_late_frame_makes_the_next_second_lenient(after_ns: int, again: bool) -> None:
    """Unless the clock was set back in between."""
    lateness, now_ns = LatenessRule(), 5 * SECOND
    assert not lateness.lagging(now_ns)
    assert not lateness.shows(21 * MS, FPS, now_ns)
    assert lateness.lagging(now_ns + after_ns) is again
    assert lateness.shows(20 * MS, FPS, now_ns + after_ns), "half an interval is not late"
    assert lateness.shows(21 * MS, FPS, now_ns + after_ns) is again


def test_sync_drops_what_is_too_old_even_if_its_interval_is_long() -> None:
    assert sync(alone(0, 0, fps=0.1)).take(MAX_AGE).frame is not None
    assert outcomes(sync(alone(0, 0, fps=0.1)).take(MAX_AGE + 1).dropped) == [(0, Outcome.LATE)]


def test_sync_forgets_the_frames_of_a_producer_that_restarted() -> None:
    playout = sync(arrived(7, 0, key=True), arrived(8, INTERVAL))
    assert len(worked_on(playout, DELAY - BEGIN)) == 2
    first = arrived(0, 2 * INTERVAL, epoch=2, key=True)
    pushed = playout.push(first)
    assert outcomes(pushed.dropped) == [(7, Outcome.SUPERSEDED), (8, Outcome.SUPERSEDED)]
    assert not pushed.broken
    due_ns = 2 * INTERVAL + DELAY
    assert [step.prepare for step in worked_on(playout, due_ns - BEGIN)] == [first], "anew"
    assert playout.take(due_ns) == PlayoutStep(first, due_ns=due_ns)


def test_sync_holds_what_falls_into_its_delay_and_no_more() -> None:
    playout = SyncPlayout(SECOND, 2 * SECOND)
    pushes = [playout.push(alone(n, n, fps=1000)) for n in range(1000)]
    dropped = [old for pushed in pushes for old in pushed.dropped]
    assert outcomes(tuple(dropped)) == [(n, Outcome.SUPERSEDED) for n in range(1000 - 248)]
    assert not any(pushed.broken for pushed in pushes)


def test_sync_does_not_wait_for_frames_of_a_clock_that_was_set_back() -> None:
    hour = 3600 * SECOND
    before = [arrived(n, hour + n * INTERVAL, key=n == 0) for n in range(3)]
    after = [arrived(n, n * INTERVAL) for n in range(3, 6)]
    playout = sync(*before)
    assert playout.push(after[0]) == Pushed(tuple(Dropped(old, Outcome.SUPERSEDED) for old in before))
    assert playout.push(after[1]) == Pushed()
    # What comes after may refer to them: they are decoded, and not shown.
    step = playout.take(0)
    assert (step.frame, step.dropped, seqs(step.decode)) == (None, (), [0, 1, 2])
    assert playout.take(3 * INTERVAL + DELAY).frame == after[0]
    assert playout.take(4 * INTERVAL + DELAY).frame == after[1]


def test_sync_with_too_many_frames_goes_on_with_its_first_keyframe() -> None:
    capacity = sync()._capacity
    playout = sync(*run(capacity, keys=(0, 30, 40)))
    pushed = playout.push(arrived(capacity, capacity * INTERVAL))
    assert (outcomes(pushed.dropped), pushed.broken) == (
        [(n, Outcome.SUPERSEDED) for n in range(30)],
        False,
    )
    step = playout.take(30 * INTERVAL + DELAY)
    assert (seq_of(step.frame), step.decode) == (30, ())


def test_sync_with_too_many_frames_and_no_keyframe_gives_up_all() -> None:
    capacity = sync()._capacity
    playout = sync(*run(capacity))
    pushed = playout.push(arrived(capacity, capacity * INTERVAL))
    assert pushed.broken
    assert outcomes(pushed.dropped) == [(n, Outcome.SUPERSEDED) for n in range(capacity + 1)]
    assert playout.take(SECOND) == PlayoutStep()


# sync: work before a frame is due ----------------------------------------------------------------------


@pytest.mark.parametrize("decoded_ahead", [0, 2, 3])
def test_sync_decodes_a_given_number_ahead(decoded_ahead: int) -> None:
    frames = run(10)
    playout = SyncPlayout(DELAY, MAX_AGE, decoded_ahead)
    for frame in frames:
        playout.push(frame)
    steps = worked_on(playout, DELAY - BEGIN)
    assert [step.prepare or step.decode_ahead for step in steps] == frames[: 1 + decoded_ahead]


def test_sync_decodes_one_more_ahead_for_each_that_was_shown() -> None:
    frames = run(10)
    playout = sync(*frames)
    worked_on(playout, DELAY - BEGIN)
    assert playout.take(DELAY).frame is frames[0]
    steps = worked_on(playout, DELAY + INTERVAL - BEGIN)
    assert [step.prepare for step in steps] == [frames[1], None], "its pixels, though it was decoded"
    assert [step.decode_ahead for step in steps] == [None, frames[1 + DECODED_AHEAD]]


def test_sync_stops_decoding_ahead_before_the_frame_is_due() -> None:
    frames = run(3)
    playout = sync(*frames)
    playout.take(DELAY - BEGIN)
    assert playout.take(DELAY - STOP - 1).decode_ahead is frames[1]
    assert playout.take(DELAY - STOP) == PlayoutStep(wait_ns=STOP)


def test_sync_that_lags_decodes_ahead_and_prepares_nothing() -> None:
    frames = run(6)
    playout = sync(*frames)
    late_ns = DELAY + INTERVAL // 2 + 1
    assert outcomes(playout.take(late_ns).dropped) == [(0, Outcome.LATE)]
    steps = worked_on(playout, late_ns)
    assert [step.prepare for step in steps] == [None] * (1 + DECODED_AHEAD)
    assert [step.decode_ahead for step in steps] == frames[1:]


@pytest.mark.parametrize("playout_of", [latest, sync])
def test_a_reset_passes_on_to_the_keyframe_that_supersedes_its_frame(playout_of: PlayoutOf) -> None:
    playout = playout_of(
        arrived(0, 0, epoch=2, key=True, reset=True), arrived(1, INTERVAL, epoch=2, key=True)
    )
    step = playout.take(INTERVAL + DELAY)
    assert step.frame is not None
    assert any(frame.reset for frame in (*step.decode, step.frame))


def test_a_rate_of_next_to_nothing_is_accepted() -> None:
    """`fps` may be any number: 0.9 frame intervals of it are more than a number can hold."""
    playout = sync(arrived(0, 0, key=True, fps=1e-310))
    step = playout.take(0)
    assert step.wait_ns is not None
    assert 0 <= step.wait_ns <= DELAY


def test_frames_decoded_ahead_stay_identical_when_the_clock_is_set_back() -> None:
    """A decoder knows them by identity, and would decode others a second time."""
    hour = 3600 * 1_000_000_000
    frames = [arrived(n, hour + n * INTERVAL, key=n == 0) for n in range(6)]
    playout = sync(*frames)
    worked_on(playout, hour + DELAY - BEGIN)
    playout.push(arrived(6, 6 * INTERVAL))
    decode = playout.take(0).decode
    assert len(decode) == len(frames)
    assert all(old is frame for old, frame in zip(decode, frames, strict=True))
