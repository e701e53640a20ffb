from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from common.fanout.lent_loop import FOR_GOOD, LentLoop
from tests.support.ring_stress import hurried_switching
from tests.support.timing import scaled, wait_until

WAKE = "wake"
OWN = "the loop's own thread"


class Rig:
    """A loop whose turns take one thing each from a queue, and note who took it."""

    def __init__(self, *, lendable: bool = True) -> None:
        self.things: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.turns: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self.asked: list[float] = []
        self.wakes = 0
        self._running = threading.Lock()
        self.together = False
        self.loop = LentLoop(self._run_once, self._wake, away_s=0.15, lendable=lendable)
        self.own = threading.Thread(target=self._own, name=OWN)

    def _run_once(self, timeout_s: float) -> None:
        if not self._running.acquire(blocking=False):
            self.together = True
        self.asked.append(timeout_s)
        thing: object = None
        try:
            thing = self.things.get(timeout=scaled(10) if timeout_s == FOR_GOOD else timeout_s)
        except queue.Empty:
            assert timeout_s != FOR_GOOD, "nothing came, and nobody woke it"
        finally:
            if self._running.locked():
                self._running.release()
        if isinstance(thing, Exception):
            raise thing
        self.turns.put((threading.current_thread().name, thing))

    def _wake(self) -> None:
        self.wakes += 1
        self.things.put(WAKE)

    def _own(self) -> None:
        self.loop.begin()
        while not self.loop.finished:
            self.loop.own_turn()

    def start(self) -> None:
        self.loop.prepare()
        self.own.start()

    def end(self) -> None:
        self.loop.finish()
        self.things.put("end")
        self.own.join(scaled(5))
        assert not self.own.is_alive()
        assert not self.together, "two threads ran the loop at once"

    def turn(self) -> tuple[str, object]:
        """The next one that was made, for a thing and not only to wake somebody."""
        while True:
            turn = self.turns.get(timeout=scaled(5))
            if turn[1] not in (WAKE, None):
                return turn


@pytest.fixture
def rig() -> Iterator[Rig]:
    one = Rig()
    one.start()
    yield one
    one.end()


@contextmanager
def elsewhere(function: Callable[[], object], name: str = "worker") -> Iterator[threading.Event]:
    """Run it in a thread of its own; the event is set when it has returned. Waits for that at the end."""
    returned = threading.Event()

    def run() -> None:
        function()
        returned.set()

    thread = threading.Thread(target=run, name=name)
    thread.start()
    yield returned
    thread.join(scaled(10))
    assert not thread.is_alive()


def me() -> str:
    return threading.current_thread().name


def lent(rig: Rig) -> None:
    """The loop is lent, its own thread has let go, and whoever borrowed it is elsewhere now."""
    rig.loop.work(0)
    while not rig.things.empty():
        rig.loop.work(0)


# Its own thread, and the one that waits ------------------------------------------------------------------


def test_its_own_thread_runs_it_while_nobody_else_does(rig: Rig) -> None:
    for thing in range(3):
        rig.things.put(thing)
        assert rig.turn() == (OWN, thing)
    assert set(rig.asked) == {FOR_GOOD}
    assert rig.wakes == 0


def test_whoever_waits_runs_it_and_the_own_thread_lets_go(rig: Rig) -> None:
    rig.loop._away_s = scaled(60)
    wait_until(lambda: rig.asked, 5, "its own thread waits in a turn")
    lent(rig)
    for thing in range(3):
        rig.things.put(thing)
        rig.loop.work(-1)
        assert rig.turn() == (me(), thing)
    assert rig.wakes == 1, "for the first turn only"


def test_whoever_takes_it_over_looks_first_at_what_its_own_thread_has_brought() -> None:
    """That may have pushed a frame in its last turn, which the caller has not seen."""
    rig = Rig()
    rig.loop.work(-1)
    rig.things.put("x")
    rig.loop.work(-1)
    rig.loop.take_back()
    rig.loop.work(2)
    assert rig.asked == [0, FOR_GOOD, 0]


@pytest.mark.parametrize(
    ("timeout_s", "asked_s"), [(-1, FOR_GOOD), (0, 0), (0.001, 0.001), (0.0125, 0.012), (0.0019, 0.001)]
)
def test_a_turn_ends_in_time(timeout_s: float, asked_s: float) -> None:
    """Pollers count whole milliseconds; it may end a little too soon, never too late."""
    rig = Rig()
    rig.loop.work(-1)  # takes it over
    rig.asked.clear()
    if timeout_s < 0:
        rig.things.put("x")
    rig.loop.work(timeout_s)
    (asked,) = rig.asked
    assert asked == pytest.approx(asked_s)
    assert timeout_s < 0 or asked <= timeout_s


def test_less_than_a_poller_can_count_is_waited_for_without_it() -> None:
    rig = Rig()
    rig.loop.work(0.0005)
    assert rig.asked == []


def test_nobody_works_before_its_own_thread_has_set_up() -> None:
    rig = Rig()
    rig.loop.prepare()
    rig.things.put("x")
    with elsewhere(lambda: rig.loop.work(-1)) as returned:
        wait_until(lambda: rig.wakes, 5, "it would work")
        assert rig.asked == []
        assert not returned.is_set()
        rig.loop.begin()
    assert rig.turn() == ("worker", "x")


def test_nobody_runs_it_while_it_is_held() -> None:
    rig = Rig()
    rig.things.put("x")
    held = rig.loop.alone()
    held.acquire()
    with elsewhere(lambda: rig.loop.work(-1)) as returned:
        wait_until(lambda: rig.wakes, 5, "it would work")
        assert rig.asked == []
        assert not returned.is_set()
        held.release()
    assert rig.turn() == ("worker", "x")


def test_a_loop_that_is_lent_while_its_own_thread_waits_for_it_is_left_to_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Watched:
        def __init__(self, lock: threading.Lock) -> None:
            self.lock, self.wanted = lock, threading.Event()

        def __enter__(self) -> None:
            self.wanted.set()
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()

        def acquire(self, blocking: bool = True) -> bool:
            return self.lock.acquire(blocking)

        def release(self) -> None:
            self.lock.release()

    rig = Rig()
    turn = Watched(rig.loop.alone())
    monkeypatch.setattr(rig.loop, "_turn", turn)
    rig.things.put("x")
    turn.lock.acquire()
    with elsewhere(rig.loop.own_turn, OWN) as returned:
        assert turn.wanted.wait(scaled(5))
        with elsewhere(lambda: rig.loop.work(-1)):
            wait_until(lambda: rig.wakes, 5)
            turn.lock.release()
        assert returned.wait(scaled(5))
    assert rig.turn() == ("worker", "x")
    assert len(rig.asked) == 1


def test_never_both_at_once(rig: Rig) -> None:
    with hurried_switching():
        for thing in range(500):
            rig.things.put(thing)
            rig.loop.work(0 if thing % 3 else 0.001)
            if thing % 7 == 0:
                rig.loop.take_back()
    assert not rig.together


def test_an_error_is_the_workers_and_the_loop_goes_on() -> None:
    rig = Rig()
    rig.loop._away_s = scaled(0.3)
    rig.start()
    lent(rig)
    rig.things.put(ValueError("of a turn"))
    with pytest.raises(ValueError, match="of a turn"):
        rig.loop.work(-1)
    rig.things.put("x")
    assert rig.turn() == (OWN, "x"), "the worker did not come again"
    rig.end()


# Coming back to its own thread ---------------------------------------------------------------------------


def test_its_own_thread_goes_on_when_the_worker_stays_away(rig: Rig) -> None:
    lent(rig)
    began_s = time.monotonic()
    rig.things.put("x")
    assert rig.turn() == (OWN, "x")
    assert time.monotonic() - began_s > 0.05, "not before it has waited for the worker"


def test_it_is_taken_back_at_once(rig: Rig) -> None:
    rig.loop._away_s = scaled(60)
    lent(rig)
    rig.loop.take_back()
    rig.things.put("x")
    assert rig.turn() == (OWN, "x")


def test_a_worker_that_waits_in_its_turn_is_not_away(rig: Rig) -> None:
    away_s = 0.02
    rig.loop._away_s = away_s

    def borrow() -> None:
        rig.loop.work(0)
        while not done.is_set():
            rig.loop.work(-1)

    done = threading.Event()
    with elsewhere(borrow):
        wait_until(lambda: rig.loop._lent and rig._running.locked() and rig.things.empty(), 5)
        wakes = rig.wakes
        assert not threading.Event().wait(5 * away_s), "its own thread has time to look, and looks"
        assert (rig.loop._lent, rig.wakes) == (True, wakes)
        done.set()
        rig.things.put("x")


# While it is not to be lent ------------------------------------------------------------------------------


def test_while_it_is_not_lendable_work_waits_until_it_is_roused() -> None:
    rig = Rig(lendable=False)
    with elsewhere(lambda: rig.loop.work(-1)) as returned:
        assert not returned.is_set()
        rig.loop.rouse()
        assert returned.wait(scaled(5))
    assert rig.asked == []
    assert rig.wakes == 0


def test_being_roused_before_counts_once() -> None:
    rig = Rig(lendable=False)
    rig.loop.rouse()
    rig.loop.rouse()
    rig.loop.work(-1)
    began_s = time.monotonic()
    rig.loop.work(0.02)
    assert time.monotonic() - began_s >= 0.019
    rig.loop.work(0)
    assert rig.asked == []


def test_once_it_is_lendable_it_is_lent() -> None:
    rig = Rig(lendable=False)
    rig.loop.lendable = True
    rig.things.put("x")
    rig.loop.work(-1)
    assert rig.turn() == (me(), "x")


def test_whoever_waited_for_his_turn_too_long_does_not_run_what_is_not_lendable_any_more() -> None:
    rig = Rig()
    with rig.loop.alone(), elsewhere(lambda: rig.loop.work(-1)) as returned:
        wait_until(lambda: rig.wakes, 5)
        rig.loop.lendable = False
        rig.loop.alone().release()
        assert returned.wait(scaled(5))
        rig.loop.alone().acquire()
    assert rig.asked == []


# The end -------------------------------------------------------------------------------------------------


def test_once_it_is_closed_its_own_thread_sees_to_the_end(rig: Rig) -> None:
    lent(rig)
    rig.loop.close()
    rig.loop.work(-1)
    rig.things.put("x")
    assert rig.turn() == (OWN, "x")
    rig.loop.work(-1)


@pytest.mark.parametrize("end", [LentLoop.close, LentLoop.finish])
def test_the_end_rouses_whoever_waits(end: Callable[[LentLoop], None]) -> None:
    rig = Rig(lendable=False)
    with elsewhere(lambda: rig.loop.work(-1)) as returned:
        end(rig.loop)
        assert returned.wait(scaled(5))


def test_when_it_has_finished_nothing_is_run() -> None:
    rig = Rig()
    rig.loop.finish()
    rig.things.put("x")
    rig.loop.own_turn()
    rig.loop.work(-1)
    assert rig.asked == []


def test_its_own_thread_does_not_wait_for_a_worker_once_it_has_finished() -> None:
    rig = Rig()
    rig.loop._away_s = scaled(60)
    rig.start()
    lent(rig)
    rig.end()


def test_whoever_finds_the_loop_taken_at_the_same_moment_wakes_it() -> None:
    """Its own thread took the turn between two looks of the one that works in its stead."""
    rig = Rig()
    rig.loop._lent = True
    inside = threading.Event()

    def own_thread_takes_it() -> None:
        with rig.loop.alone():
            inside.set()
            rig._run_once(FOR_GOOD)

    with elsewhere(own_thread_takes_it, OWN) as let_go:
        assert inside.wait(scaled(5))
        rig.loop.work(0.0)
        assert let_go.wait(scaled(5))
    assert rig.wakes == 1
    assert rig.loop._lent
