from __future__ import annotations

import threading

import pytest

from consumer.mailbox import Mailbox
from consumer.playout import Dropped, LatestPlayout, SyncPlayout, Turn
from consumer.stats import Event
from tests.unit.consumer.test_playout import DELAY, INTERVAL, MAX_AGE, fates, ready

NOW = 1_700_000_000_000_000_000


class Wall:
    now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    clock = Wall()
    monkeypatch.setattr("consumer.mailbox.wall_ns", clock)
    return clock


@pytest.fixture
def dropped() -> list[Dropped]:
    return []


@pytest.fixture
def latest(wall: Wall, dropped: list[Dropped]) -> Mailbox:
    return Mailbox(LatestPlayout(MAX_AGE), dropped.append)


def test_a_frame_is_taken_once(latest: Mailbox) -> None:
    frame = ready(0, NOW)
    latest.push(frame)
    assert latest.take(0) == Turn(frame)
    assert latest.take(0) == Turn()


def test_what_is_given_up_is_told(latest: Mailbox, wall: Wall, dropped: list[Dropped]) -> None:
    latest.push(ready(0, NOW))
    latest.push(ready(1, NOW))
    assert fates(tuple(dropped)) == [(0, Event.SUPERSEDED)]
    wall.now_ns += MAX_AGE + 1
    assert latest.take(0).frame is None
    assert fates(tuple(dropped)) == [(0, Event.SUPERSEDED), (1, Event.LATE)]


def test_whoever_waits_gets_the_frame_that_comes(latest: Mailbox) -> None:
    turns: list[Turn] = []
    thread = threading.Thread(target=lambda: turns.append(latest.take(None)))
    thread.start()
    latest.push(ready(5, NOW))
    thread.join(10)
    assert [turn.frame and turn.frame.header.seq for turn in turns] == [5]


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


def test_a_frame_whose_time_has_not_come_stays(wall: Wall, dropped: list[Dropped]) -> None:
    mailbox = Mailbox(SyncPlayout(DELAY, MAX_AGE), dropped.append)
    mailbox.push(ready(0, NOW))
    assert mailbox.take(0) == Turn(wait_ns=DELAY)
    wall.now_ns += DELAY
    turn = mailbox.take(0)
    assert turn.frame is not None
    assert turn.due_ns == NOW + DELAY


def test_it_waits_for_the_time_of_the_next_frame(wall: Wall, dropped: list[Dropped]) -> None:
    """One wait that lasts until then: the fake clock has moved when it returns."""
    mailbox = Mailbox(SyncPlayout(DELAY, MAX_AGE), dropped.append)
    mailbox.push(ready(0, NOW))
    mailbox.push(ready(1, NOW + INTERVAL))
    waits: list[float | None] = []

    def wait(timeout: float | None = None) -> bool:
        waits.append(timeout)
        wall.now_ns += round((timeout or 0) * 1e9)
        return False

    mailbox._changed.wait = wait  # type: ignore[method-assign]
    shown = [mailbox.take(None).frame for _ in range(2)]
    assert [frame and frame.header.seq for frame in shown] == [0, 1]
    assert waits == [pytest.approx(DELAY / 1e9), pytest.approx(INTERVAL / 1e9)]


def test_dropped_frames_are_told_without_the_lock(wall: Wall) -> None:
    """Whoever is told may ask the mailbox something."""
    boxes: list[Mailbox] = []
    free: list[bool] = []

    def told(_: Dropped) -> None:
        thread = threading.Thread(target=boxes[0].close)
        thread.start()
        thread.join(10)
        free.append(not thread.is_alive())

    boxes.append(Mailbox(LatestPlayout(MAX_AGE), told))
    boxes[0].push(ready(0, NOW))
    boxes[0].push(ready(1, NOW))
    assert free == [True]
