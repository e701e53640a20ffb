from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from fanlight.consumer.awaiting_playout import AwaitingPlayout
from fanlight.consumer.mailbox import Mailbox
from fanlight.consumer.playout import Dropped, LatestPlayout, PlayoutStep, SyncPlayout
from fanlight.consumer.stats import Outcome
from tests.support.timing import scaled, wait_until
from tests.unit.consumer.test_playout import (
    BEGIN,
    DELAY,
    INTERVAL,
    MAX_AGE,
    MS,
    alone,
    arrived,
    seq_of,
)

NOW = 1_700_000_000_000_000_000


class Wall:
    now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns


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


def wakes(mailbox: Mailbox) -> bool:
    """Whether the presenting thread has been woken since this was asked last."""
    return mailbox._waker.acquire(blocking=False)


def meanwhile(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_many_frames_pass_between_threads_and_the_last_is_shown(
    latest: Mailbox, dropped: list[Dropped]
) -> None:
    thread = meanwhile(lambda: [latest.push(alone(n, NOW)) for n in range(500)])
    shown: list[int] = []
    while not shown or shown[-1] < 499:
        seq = seq_of(latest.take(scaled(10)).frame)
        assert seq is not None
        shown.append(seq)
    thread.join(scaled(20))
    assert sorted([*shown, *(old.frame.header.seq for old in dropped)]) == list(range(500))


def test_a_frame_wakes_the_thread_that_has_nothing(latest: Mailbox) -> None:
    latest.take(0)
    latest.push(alone(0, NOW))
    assert wakes(latest)
    latest.push(alone(1, NOW))
    assert not wakes(latest), "the thread that was woken takes both"


def test_a_later_frame_does_not_wake_a_wait_for_an_earlier_one(sync: Mailbox, wall: Wall) -> None:
    sync.push(alone(0, NOW))
    assert wakes(sync)
    assert sync.take(0).wait_ns == DELAY - BEGIN
    sync.push(alone(1, NOW + INTERVAL))
    assert not wakes(sync)
    wall.now_ns += DELAY + INTERVAL
    assert seq_of(sync.take(0).frame) == 1
    assert sync.take(0) == PlayoutStep()
    sync.push(alone(2, wall.now_ns))
    assert wakes(sync), "nothing was left to wait for"


def test_it_waits_no_longer_than_its_time(latest: Mailbox, sync: Mailbox) -> None:
    sync.push(alone(0, NOW + MAX_AGE))  # it never becomes due: the clock stands still
    for mailbox in (latest, sync):
        began_s = time.monotonic()
        assert mailbox.take(0.02).frame is None
        assert time.monotonic() - began_s >= 0.02


def test_a_clock_that_was_set_is_noticed_during_a_wait(sync: Mailbox, wall: Wall) -> None:
    """A wait is never longer than 100 ms, whatever the clock says."""
    hour = 3600 * 1000 * MS
    sync.push(alone(0, NOW + hour))
    steps: list[PlayoutStep] = []
    thread = meanwhile(lambda: steps.append(sync.take(scaled(60))))
    wall.now_ns += hour + DELAY
    thread.join(scaled(20))
    assert [seq_of(step.frame) for step in steps] == [0]


def test_closing_wakes_the_thread_that_waits(latest: Mailbox) -> None:
    steps: list[PlayoutStep] = []
    thread = meanwhile(lambda: steps.append(latest.take(scaled(60))))
    latest.close()
    thread.join(scaled(20))
    assert steps == [PlayoutStep()]
    assert latest.closed
    latest.push(alone(0, NOW))
    assert latest.take(scaled(60)) == PlayoutStep(), "nothing is shown once it is closed"


def test_what_is_only_to_be_decoded_is_given_out_too(latest: Mailbox) -> None:
    old = arrived(0, NOW, key=True, showable=False)
    latest.push(old)
    assert latest.take(scaled(60)) == PlayoutStep(decode=(old,))


@pytest.mark.parametrize("how", ["push", "take"])
def test_on_dropped_is_called_without_the_lock(wall: Wall, how: str) -> None:
    """It may ask the mailbox something."""
    free: list[bool] = []

    def on_dropped(_: Dropped) -> None:
        thread = meanwhile(mailbox.__len__)
        thread.join(scaled(20))
        free.append(not thread.is_alive())

    mailbox = Mailbox(LatestPlayout(MAX_AGE), on_dropped, wall)
    mailbox.push(alone(0, NOW))
    if how == "push":
        mailbox.push(alone(1, NOW))
    else:
        wall.now_ns += MAX_AGE + 1
        mailbox.take(0)
    assert free == [True]


@pytest.mark.parametrize("kind", ["latest", "sync"])
def test_cleared_it_counts_what_it_had_and_goes_on(
    request: pytest.FixtureRequest, kind: str, dropped: list[Dropped], wall: Wall
) -> None:
    mailbox: Mailbox = request.getfixturevalue(kind)
    mailbox.push(arrived(0, NOW, key=True, showable=False))
    mailbox.push(arrived(1, NOW))
    mailbox.take(0)
    mailbox.push(arrived(2, NOW))
    mailbox.push(arrived(3, NOW))
    before = len(dropped)
    mailbox.clear()
    assert len(mailbox) == 0
    assert {old.frame.header.seq for old in dropped} <= {1, 2, 3}
    assert {old.outcome for old in dropped[before:]} == {Outcome.AWAITING_KEY}
    mailbox.push(alone(9, NOW))
    wall.now_ns += DELAY
    assert seq_of(mailbox.take(0).frame) == 9


class ProgramError(Exception):
    pass


def test_it_knows_whether_an_exception_ended_a_wait(latest: Mailbox) -> None:
    def interrupt(*_: object) -> None:
        raise ProgramError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)  # by then it waits, on a busy machine too
    try:
        with pytest.raises(ProgramError):
            latest.take(scaled(60))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [latest.waited(), latest.waited()] == [True, False]
    latest.take(0.001)
    assert not latest.waited()


def test_an_interruption_ends_one_wait_and_leaves_the_frames(latest: Mailbox) -> None:
    latest.push(alone(0, NOW))
    latest.interrupt()
    assert seq_of(latest.take(0).frame) == 0
    assert latest.take(scaled(5)) == PlayoutStep(), "at once: nothing is left"
    assert not latest.closed
    thread = meanwhile(lambda: latest.push(alone(1, NOW)))
    assert seq_of(latest.take(scaled(5)).frame) == 1
    thread.join()


def test_a_change_wakes_the_thread_that_waits(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fanlight.consumer.mailbox._LONGEST_WAIT_S", 3600)
    complete = threading.Event()
    playout = AwaitingPlayout(3600 * 1000 * MS, 3600 * 1000 * MS, lambda _header: complete.is_set())
    mailbox = Mailbox(playout, lambda _old: None, wall)
    mailbox.changed()  # there is nothing yet
    mailbox.push(alone(0, NOW))
    steps: list[PlayoutStep] = []
    taking = threading.Thread(target=lambda: steps.append(mailbox.take(scaled(20))))
    taking.start()
    wait_until(lambda: mailbox._waiting, 10, "it waits")
    complete.set()
    mailbox.changed()
    taking.join(scaled(10))
    assert [seq_of(step.frame) for step in steps] == [0]
