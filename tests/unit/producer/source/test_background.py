from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.producer.source.background import Background
from fanlight.producer.source.base import Captured
from fanlight.producer.stats import Drop, Drops
from tests.support.timing import scaled, wait_until


def captured(number: int) -> Captured:
    return Captured(np.zeros((1, 1, 3), np.uint8), number)


class FakeGrabber:
    """Gives what the test puts into `script`, one per `let`; an exception is raised, None is the end."""

    def __init__(self, *script: Captured | Exception | None, open_error: Exception | None = None) -> None:
        self.script = list(script)
        self.open_error = open_error
        self.may_open = threading.Event()
        self.may_open.set()
        self.permits = threading.Semaphore(0)
        self.closed = threading.Event()
        self.threads: set[int] = set()

    def open(self) -> None:
        self.threads.add(threading.get_ident())
        self.may_open.wait(scaled(60))
        if self.open_error is not None:
            raise self.open_error

    def grab(self, stop: threading.Event) -> Captured | None:
        self.threads.add(threading.get_ident())
        self.permits.acquire(timeout=scaled(60))
        item = self.script.pop(0) if self.script and not stop.is_set() else None
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()


def opened(grabber: FakeGrabber, drops: Drops | None = None) -> Background:
    background = Background(grabber, "cam", Drops() if drops is None else drops)
    background.open(scaled(10))
    return background


def finish(grabber: FakeGrabber, background: Background) -> None:
    background.interrupt()
    grabber.may_open.set()
    grabber.permits.release(100)
    background.close()
    assert grabber.closed.wait(scaled(10))


def test_the_newest_picture_wins_and_the_others_are_counted() -> None:
    drops = Drops()
    grabber = FakeGrabber(captured(1), captured(2), captured(3))
    background = opened(grabber, drops)
    grabber.permits.release(3)
    wait_until(lambda: drops[Drop.SKIPPED] == 2, 10)
    taken = background.take(scaled(10))
    assert taken is not None
    assert taken.capture_ns == 3
    finish(grabber, background)


def test_a_picture_that_nobody_took_before_the_close_is_counted() -> None:
    drops = Drops()
    grabber = FakeGrabber(captured(1), captured(2))
    background = opened(grabber, drops)
    grabber.permits.release(2)
    wait_until(lambda: drops[Drop.SKIPPED] == 1, 10)
    finish(grabber, background)
    assert drops == {Drop.SKIPPED: 2}


def test_the_last_picture_is_handed_on_before_the_failure() -> None:
    grabber = FakeGrabber(captured(1), SourceError("cam: broke"))
    background = opened(grabber)
    grabber.permits.release(2)
    assert grabber.closed.wait(scaled(10))
    assert background.take(scaled(10)) is not None
    with pytest.raises(SourceError, match="cam: broke"):
        background.take(scaled(10))


def test_a_surprise_on_the_thread_reaches_the_reader() -> None:
    grabber = FakeGrabber(ZeroDivisionError("surprise"))
    background = opened(grabber)
    grabber.permits.release()
    with pytest.raises(ZeroDivisionError):
        background.take(scaled(10))


@pytest.mark.parametrize("error", [SourceError("cam: missing"), ConfigError("--source", "x", "never")])
def test_a_failure_to_open_is_raised_by_open(error: Exception) -> None:
    grabber = FakeGrabber(open_error=error)
    with pytest.raises(type(error), match=str(error)[:5]):
        Background(grabber, "cam", Drops()).open(scaled(10))
    assert grabber.closed.wait(scaled(10))


def test_no_picture_in_time_is_a_failure() -> None:
    grabber = FakeGrabber()
    background = opened(grabber)
    with pytest.raises(SourceError, match=r"^cam: no frame for 0\.05 s$"):
        background.take(0.05)
    finish(grabber, background)


def test_no_answer_in_time_is_a_failure_and_the_thread_cleans_up_when_it_can() -> None:
    grabber = FakeGrabber()
    grabber.may_open.clear()
    background = Background(grabber, "cam", Drops())
    with pytest.raises(SourceError, match=r"^cam: no answer for 0\.05 s$"):
        background.open(0.05)
    background.close()
    assert not grabber.closed.is_set()
    finish(grabber, background)


def test_interrupt_ends_a_take_and_close_does_not_wait_for_a_hanging_grab() -> None:
    grabber = FakeGrabber()
    background = opened(grabber)
    with ThreadPoolExecutor() as pool:
        taking = pool.submit(background.take, scaled(60))
        background.interrupt()
        assert taking.result(timeout=scaled(10)) is None
    background.close()
    assert not grabber.closed.is_set()
    finish(grabber, background)


def test_interrupt_ends_an_open() -> None:
    grabber = FakeGrabber()
    grabber.may_open.clear()
    background = Background(grabber, "cam", Drops())
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(background.open, scaled(60))
        background.interrupt()
        opening.result(timeout=scaled(10))
    finish(grabber, background)


def test_everything_of_the_grabber_runs_on_one_other_thread() -> None:
    grabber = FakeGrabber(captured(1))
    background = opened(grabber)
    grabber.permits.release()
    background.take(scaled(10))
    finish(grabber, background)
    assert len(grabber.threads) == 1
    assert threading.get_ident() not in grabber.threads
