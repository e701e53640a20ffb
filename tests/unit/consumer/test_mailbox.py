from __future__ import annotations

import threading

import pytest

from consumer import playout as playouts
from consumer.mailbox import Mailbox
from consumer.playout import Dropped, LatestPlayout, SyncPlayout, Turn
from consumer.stats import Event
from tests.unit.consumer.test_playout import (
    BEGIN,
    DELAY,
    INTERVAL,
    MAX_AGE,
    alone,
    arrived,
    fates,
    seq_of,
)

NOW = 1_700_000_000_000_000_000


class Wall:
    now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns


class Bell:
    """Takes down how long somebody would have waited for it; the clock has moved when that is over."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self.waits: list[float] = []

    def acquire(self, *, timeout: float) -> bool:
        self.waits.append(timeout)
        self.wall.now_ns += round(timeout * 1e9)
        return False

    def release(self) -> None:
        raise RuntimeError("release unlocked lock")


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def dropped() -> list[Dropped]:
    return []


@pytest.fixture
def latest(wall: Wall, dropped: list[Dropped]) -> Mailbox:
    return Mailbox(LatestPlayout(MAX_AGE), dropped.append, wall)


@pytest.fixture
def sync(wall: Wall, dropped: list[Dropped]) -> Mailbox:
    return Mailbox(SyncPlayout(DELAY, MAX_AGE), dropped.append, wall)


def test_a_frame_is_taken_once(latest: Mailbox) -> None:
    frame = alone(0, NOW)
    assert latest.push(frame)
    assert latest.take(0) == Turn(frame)
    assert latest.take(0) == Turn()


def test_what_is_given_up_is_told(latest: Mailbox, wall: Wall, dropped: list[Dropped]) -> None:
    assert latest.push(alone(0, NOW))
    assert latest.push(alone(1, NOW))
    assert fates(tuple(dropped)) == [(0, Event.SUPERSEDED)]
    wall.now_ns += MAX_AGE + 1
    assert latest.take(0).frame is None
    assert fates(tuple(dropped)) == [(0, Event.SUPERSEDED), (1, Event.LATE)]


def test_it_says_so_if_references_had_to_be_given_up(
    latest: Mailbox, dropped: list[Dropped], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playouts, "_LONGEST_CHAIN", 2)
    pushed = [latest.push(arrived(n, NOW, key=n in (0, 3))) for n in range(4)]
    assert pushed == [True, True, False, True]
    told = [(0, Event.SUPERSEDED), (1, Event.SUPERSEDED), (2, Event.AWAITING_KEY)]
    assert fates(tuple(dropped)) == told


def test_whoever_waits_gets_the_frame_that_comes(latest: Mailbox) -> None:
    turns: list[Turn] = []
    thread = threading.Thread(target=lambda: turns.append(latest.take(None)))
    thread.start()
    latest.push(alone(5, NOW))
    thread.join(10)
    assert [seq_of(turn.frame) for turn in turns] == [5]


def test_frames_that_come_together_ring_once_and_none_is_overlooked(latest: Mailbox) -> None:
    for n in range(3):
        latest.push(alone(n, NOW))
    assert seq_of(latest.take(None).frame) == 2
    assert latest.take(0) == Turn(), "the bell still rings, and there is nothing"
    latest.push(alone(3, NOW))
    assert seq_of(latest.take(None).frame) == 3


def test_an_open_one_says_so(latest: Mailbox) -> None:
    assert not latest.closed


def test_closing_wakes_whoever_waits(latest: Mailbox) -> None:
    turns: list[Turn] = []
    thread = threading.Thread(target=lambda: turns.append(latest.take(None)))
    thread.start()
    latest.close()
    thread.join(10)
    assert turns == [Turn()]
    assert latest.closed
    latest.close()
    assert latest.take(None) == Turn()


def test_nothing_is_shown_once_it_is_closed(latest: Mailbox) -> None:
    latest.push(alone(0, NOW))
    latest.close()
    assert latest.take(None) == Turn()


def test_a_frame_whose_time_has_not_come_stays(sync: Mailbox, wall: Wall) -> None:
    sync.push(alone(0, NOW))
    assert sync.take(0) == Turn(wait_ns=DELAY - BEGIN)
    wall.now_ns += DELAY
    turn = sync.take(0)
    assert turn.frame is not None
    assert turn.due_ns == NOW + DELAY


def test_it_waits_for_the_time_of_the_next_frame(sync: Mailbox, wall: Wall) -> None:
    """One wait until there is work to do for it, one until it is due: absolute times, both."""
    sync.push(alone(0, NOW))
    sync.push(alone(1, NOW + INTERVAL))
    bell = Bell(wall)
    sync._bell = bell  # type: ignore[assignment]
    turns = [sync.take(None) for _ in range(5)]
    assert [seq_of(turn.upcoming) for turn in turns] == [0, None, None, 1, None]
    assert [seq_of(turn.ahead) for turn in turns] == [None, 1, None, None, None]
    assert [seq_of(turn.frame) for turn in turns] == [None, None, 0, None, 1]
    waits_ns = [DELAY - BEGIN, BEGIN, INTERVAL - BEGIN, BEGIN]
    assert bell.waits == [pytest.approx(wait_ns / 1e9) for wait_ns in waits_ns]


def test_waking_late_does_not_delay_the_next_frame(sync: Mailbox, wall: Wall) -> None:
    for n in range(2):
        sync.push(alone(n, NOW + n * INTERVAL))
    wall.now_ns = NOW + DELAY + INTERVAL // 4
    assert seq_of(sync.take(None).frame) == 0
    bell = Bell(wall)
    sync._bell = bell  # type: ignore[assignment]
    turns = [sync.take(None) for _ in range(2)]
    assert seq_of(turns[-1].frame) == 1
    assert turns[-1].due_ns == wall.now_ns == NOW + DELAY + INTERVAL
    assert bell.waits == [pytest.approx(0.75 * INTERVAL / 1e9)]


def test_what_is_only_to_be_decoded_is_handed_out_too(latest: Mailbox) -> None:
    old = arrived(0, NOW, key=True, showable=False)
    latest.push(old)
    assert latest.take(None) == Turn(decode=(old,))


@pytest.mark.parametrize("how", ["push", "take"])
def test_dropped_frames_are_told_without_the_lock(wall: Wall, how: str) -> None:
    """Whoever is told may ask the mailbox something."""
    free: list[bool] = []

    def told(_: Dropped) -> None:
        thread = threading.Thread(target=mailbox.take, args=(0,))
        thread.start()
        thread.join(10)
        free.append(not thread.is_alive())

    mailbox = Mailbox(LatestPlayout(MAX_AGE), told, wall)
    mailbox.push(alone(0, NOW))
    if how == "push":
        mailbox.push(alone(1, NOW))
    else:
        wall.now_ns += MAX_AGE + 1
        mailbox.take(0)
    assert free == [True]
