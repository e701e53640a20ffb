from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import ConfigError, SourceError
from fanlight.producer.source.base import Captured
from fanlight.producer.source.live_feed import LiveFeed
from fanlight.producer.stats import Drop, Drops
from tests.support.timing import scaled, wait_until


class ScriptedGrabber:
    """Gives a picture of each number, one per permit; an exception is raised, None is the end."""

    due_ns = 0

    def __init__(self, *script: int | Exception | None, permits: int = 100) -> None:
        self.script = list(script)
        self.open_error: Exception | None = None
        self.may_open = threading.Event()
        self.may_open.set()
        self.permits = threading.Semaphore(permits)
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
        return None if item is None else Captured(np.zeros((1, 1, 3), np.uint8), item)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()

    def release(self) -> None:
        self.may_open.set()
        self.permits.release(100)


def make_feed(open_s: float = 10, stall_s: float = 10) -> LiveFeed:
    return LiveFeed("cam", Drops(), open_s=scaled(open_s), stall_s=scaled(stall_s))


@pytest.fixture
def feed() -> Iterator[LiveFeed]:
    feed = make_feed()
    yield feed
    feed.close()


def test_the_newest_picture_is_returned_and_the_others_are_counted(feed: LiveFeed) -> None:
    grabber = ScriptedGrabber(1, 2, 3, None)
    feed.open(grabber)
    assert grabber.closed.wait(scaled(20))
    taken = feed.read()
    assert taken is not None
    assert taken.capture_ns == 3
    assert feed._drops == {Drop.SKIPPED: 2}
    assert feed.read() is None
    assert len(grabber.threads - {threading.get_ident()}) == len(grabber.threads) == 1


@pytest.mark.parametrize("end", [LiveFeed.interrupt, LiveFeed.close])
def test_a_picture_that_was_not_returned_before_the_end_is_counted(end: object, feed: LiveFeed) -> None:
    grabber = ScriptedGrabber(1, 2, permits=2)
    feed.open(grabber)
    wait_until(lambda: feed._drops[Drop.SKIPPED] == 1, 20)
    assert callable(end)
    end(feed)
    grabber.release()
    assert grabber.closed.wait(scaled(20))
    assert (feed.read(), feed._drops) == (None, {Drop.SKIPPED: 2})


def test_a_feed_that_is_interrupted_before_it_opens_closes_the_grabber(feed: LiveFeed) -> None:
    grabber = ScriptedGrabber()
    feed.interrupt()
    assert not feed.open(grabber)
    assert grabber.closed.is_set()


def test_pictures_above_the_limit_are_counted(feed: LiveFeed) -> None:
    grabber = ScriptedGrabber(*range(3), permits=0)
    feed.open(grabber)
    feed.limit(1e-9)
    grabber.permits.release()
    assert feed.read() is not None
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(feed.read)
        for number in (1, 2):
            grabber.permits.release()
            wait_until(lambda n=number: feed._drops.total() == n, 20)  # type: ignore[misc]
        grabber.release()
        assert reading.result(timeout=scaled(20)) is None
    assert feed._drops == {Drop.LIMITED: 2}


@pytest.mark.parametrize("error", [SourceError("cam: broke"), ZeroDivisionError("a bug")])
def test_the_last_picture_is_returned_before_the_failure(error: Exception, feed: LiveFeed) -> None:
    grabber = ScriptedGrabber(1, error)
    feed.open(grabber)
    assert grabber.closed.wait(scaled(20))
    assert feed.read() is not None
    with pytest.raises(type(error), match=str(error)):
        feed.read()


@pytest.mark.parametrize("error", [SourceError("cam: missing"), ConfigError("--source", "x", "never")])
def test_a_failure_to_open_is_raised_by_open(error: Exception, feed: LiveFeed) -> None:
    grabber = ScriptedGrabber()
    grabber.open_error = error
    with pytest.raises(type(error), match=str(error)[:5]):
        feed.open(grabber)
    assert grabber.closed.wait(scaled(20))


def test_no_picture_in_time_is_a_failure() -> None:
    grabber, feed = ScriptedGrabber(permits=0), make_feed(stall_s=0.05)
    feed.open(grabber)
    with pytest.raises(SourceError, match=rf"^cam: no frame for {scaled(0.05):g} s$"):
        feed.read()
    grabber.release()
    feed.close()


def test_a_picture_that_is_not_due_yet_is_not_missed() -> None:
    grabber, feed = ScriptedGrabber(1, permits=0), make_feed(stall_s=0.05)
    grabber.due_ns = monotonic_ns() + int(scaled(60) * 1e9)
    feed.open(grabber)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(feed.read)
        with pytest.raises(TimeoutError):
            reading.result(timeout=scaled(0.5))  # ten times the limit
        grabber.release()
        assert reading.result(timeout=scaled(20)) is not None
    feed.close()


def test_no_answer_in_time_is_a_failure_and_the_grabber_is_closed_later() -> None:
    grabber, feed = ScriptedGrabber(), make_feed(open_s=0.05)
    grabber.may_open.clear()
    with pytest.raises(SourceError, match=rf"^cam: no answer for {scaled(0.05):g} s$"):
        feed.open(grabber)
    feed.close()
    assert not grabber.closed.is_set()
    grabber.release()
    assert grabber.closed.wait(scaled(20))


def test_an_interrupt_ends_a_read_and_close_leaves_a_hanging_grab(feed: LiveFeed) -> None:
    grabber = ScriptedGrabber(permits=0)
    feed.open(grabber)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(feed.read)
        feed.interrupt()
        assert reading.result(timeout=scaled(20)) is None
    feed.close()
    assert not grabber.closed.is_set()
    grabber.release()


def test_an_interrupt_ends_an_open_and_is_permanent(feed: LiveFeed) -> None:
    grabber = ScriptedGrabber()
    grabber.may_open.clear()
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(feed.open, grabber)
        feed.interrupt()
        assert opening.result(timeout=scaled(20)) is False
    grabber.release()
    assert feed.open(ScriptedGrabber(1)) is False
    assert feed.read() is None
