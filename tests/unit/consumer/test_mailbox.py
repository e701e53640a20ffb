from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from consumer import playout as playouts
from consumer.mailbox import Mailbox
from consumer.playout import Dropped, LatestPlayout, SyncPlayout, Turn
from consumer.stats import Event
from tests.support.timing import scaled
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


class Waiting:
    """Takes down how long it was asked to wait; the clock has moved on when it returns.

    What stands in `receives` is done instead, one thing for each wait: whoever waits also receives.
    """

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self.waits: list[float] = []
        self.wakes = 0
        self.receives: list[Callable[[], object]] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.receives:
            self.receives.pop(0)()
            return
        assert seconds >= 0, "it would wait for ever"
        self.wall.now_ns += round(seconds * 1e9)

    def wake(self) -> None:
        self.wakes += 1


class Blocking:
    """Really waits, until it is woken."""

    def __init__(self) -> None:
        self.begun, self.woken = threading.Event(), threading.Event()

    def wait(self, seconds: float) -> None:
        self.begun.set()
        assert self.woken.wait(scaled(10)), f"nobody woke it; asked for {seconds} s"
        self.woken.clear()

    def wake(self) -> None:
        self.woken.set()


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def waiting(wall: Wall) -> Waiting:
    return Waiting(wall)


@pytest.fixture
def dropped() -> list[Dropped]:
    return []


@pytest.fixture
def latest(wall: Wall, waiting: Waiting, dropped: list[Dropped]) -> Mailbox:
    return Mailbox(LatestPlayout(MAX_AGE), dropped.append, wall, waiting.wait, waiting.wake)


@pytest.fixture
def sync(wall: Wall, waiting: Waiting, dropped: list[Dropped]) -> Mailbox:
    return Mailbox(SyncPlayout(DELAY, MAX_AGE), dropped.append, wall, waiting.wait, waiting.wake)


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


def test_whoever_waits_gets_the_frame_that_comes(latest: Mailbox, waiting: Waiting) -> None:
    waiting.receives = [lambda: latest.push(alone(5, NOW))]
    assert seq_of(latest.take(None).frame) == 5
    assert waiting.waits == [-1], "without a limit"


def test_a_wait_that_brought_nothing_is_repeated(latest: Mailbox, waiting: Waiting) -> None:
    waiting.receives = [lambda: None, lambda: None, lambda: latest.push(alone(0, NOW))]
    assert seq_of(latest.take(None).frame) == 0
    assert waiting.waits == [-1] * 3


def test_frames_that_come_together_are_one_turn_and_none_is_overlooked(
    latest: Mailbox, waiting: Waiting
) -> None:
    for n in range(3):
        latest.push(alone(n, NOW))
    assert seq_of(latest.take(None).frame) == 2
    assert latest.take(0) == Turn()
    latest.push(alone(3, NOW))
    assert seq_of(latest.take(None).frame) == 3
    assert waiting.waits == [], "there was no need to"


def test_pushing_wakes_nobody(latest: Mailbox, waiting: Waiting) -> None:
    """Who waits receives what is pushed, and so is awake."""
    latest.push(alone(0, NOW))
    assert waiting.wakes == 0


def test_it_waits_no_longer_than_its_time(
    latest: Mailbox, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr("consumer.mailbox.time", SimpleNamespace(monotonic=lambda: now_s[0]))

    def passes(seconds: float) -> Callable[[], None]:
        return lambda: now_s.__setitem__(0, now_s[0] + seconds)

    waiting.receives = [passes(0.5), passes(1.25), passes(0.5)]
    assert latest.take(2) == Turn()
    assert waiting.waits == [2, 1.5, 0.25]


def test_a_frame_that_is_due_later_than_its_time_is_left(
    sync: Mailbox, waiting: Waiting, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "consumer.mailbox.time", SimpleNamespace(monotonic=lambda: (wall.now_ns - NOW) / 1e9)
    )
    sync.push(alone(0, NOW))
    half_s = (DELAY - BEGIN) / 2e9
    assert sync.take(half_s).frame is None
    assert waiting.waits == [pytest.approx(half_s)]


def test_an_open_one_says_so(latest: Mailbox) -> None:
    assert not latest.closed


def test_closing_wakes_whoever_waits(wall: Wall, dropped: list[Dropped]) -> None:
    blocking = Blocking()
    mailbox = Mailbox(LatestPlayout(MAX_AGE), dropped.append, wall, blocking.wait, blocking.wake)
    turns: list[Turn] = []
    thread = threading.Thread(target=lambda: turns.append(mailbox.take(None)))
    thread.start()
    assert blocking.begun.wait(scaled(10))
    mailbox.close()
    thread.join(scaled(10))
    assert turns == [Turn()]
    assert mailbox.closed
    mailbox.close()
    assert mailbox.take(None) == Turn()


def test_whoever_closes_it_is_heard_by_a_wait_that_is_just_about_to_begin(
    latest: Mailbox, waiting: Waiting
) -> None:
    """It is closed before anybody is woken: who then looks sees it."""
    seen: list[bool] = []
    waiting.receives = [latest.close]
    latest._wake = lambda: seen.append(latest.closed)
    assert latest.take(None) == Turn()
    assert seen == [True]


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


def test_it_waits_for_the_time_of_the_next_frame(sync: Mailbox, waiting: Waiting) -> None:
    """One wait until there is work to do for it, one until it is due: absolute times, both."""
    sync.push(alone(0, NOW))
    sync.push(alone(1, NOW + INTERVAL))
    turns = [sync.take(None) for _ in range(5)]
    assert [seq_of(turn.upcoming) for turn in turns] == [0, None, None, 1, None]
    assert [seq_of(turn.ahead) for turn in turns] == [None, 1, None, None, None]
    assert [seq_of(turn.frame) for turn in turns] == [None, None, 0, None, 1]
    waits_ns = [DELAY - BEGIN, BEGIN, INTERVAL - BEGIN, BEGIN]
    assert waiting.waits == [pytest.approx(wait_ns / 1e9) for wait_ns in waits_ns]


def test_waking_late_does_not_delay_the_next_frame(sync: Mailbox, wall: Wall, waiting: Waiting) -> None:
    for n in range(2):
        sync.push(alone(n, NOW + n * INTERVAL))
    wall.now_ns = NOW + DELAY + INTERVAL // 4
    assert seq_of(sync.take(None).frame) == 0
    turns = [sync.take(None) for _ in range(2)]
    assert seq_of(turns[-1].frame) == 1
    assert turns[-1].due_ns == wall.now_ns == NOW + DELAY + INTERVAL
    assert waiting.waits == [pytest.approx(0.75 * INTERVAL / 1e9)]


def test_what_is_only_to_be_decoded_is_handed_out_too(latest: Mailbox) -> None:
    old = arrived(0, NOW, key=True, showable=False)
    latest.push(old)
    assert latest.take(None) == Turn(decode=(old,))


@pytest.mark.parametrize("how", ["push", "take"])
def test_dropped_frames_are_told_without_the_lock(wall: Wall, waiting: Waiting, how: str) -> None:
    """Whoever is told may ask the mailbox something."""
    free: list[bool] = []

    def told(_: Dropped) -> None:
        thread = threading.Thread(target=mailbox.take, args=(0,))
        thread.start()
        thread.join(scaled(10))
        free.append(not thread.is_alive())

    mailbox = Mailbox(LatestPlayout(MAX_AGE), told, wall, waiting.wait, waiting.wake)
    mailbox.push(alone(0, NOW))
    if how == "push":
        mailbox.push(alone(1, NOW))
    else:
        wall.now_ns += MAX_AGE + 1
        mailbox.take(0)
    assert free == [True]
