"""What is counted of pages."""

from __future__ import annotations

import math

from fanlight.consumer.wall.counters import PageCounters, WallCounters
from fanlight.consumer.wall.message import Report
from tests.unit.consumer.wall.build import MS


def report(shown: int, dropped: int, age_ms: float | None = None, stream: str = "cam") -> Report:
    return Report(stream, shown, dropped, age_ms, "webcodecs")


def test_what_is_sent_is_counted_for_the_wall() -> None:
    wall = WallCounters()
    for page in (PageCounters(wall), PageCounters(wall)):
        page.sent(100, 2 * MS, 0)
    PageCounters(wall).sent(100, None, 0)
    assert (wall.frames, wall.bytes) == (3, 300)
    assert sum(wall.delays.snapshot().counts) == 2


def test_the_delay_of_a_page_is_a_bound_of_its_p99() -> None:
    page = PageCounters(WallCounters())
    bounds = [page.delay_p99_s]
    for _ in range(99):
        page.sent(1, 1 * MS, 0)
    for _ in range(2):
        page.sent(1, 250 * MS, 0)
        bounds.append(page.delay_p99_s)
    late = PageCounters(WallCounters())
    late.sent(1, 2000 * MS, 0)
    assert [*bounds, late.delay_p99_s] == [None, 0.001, 0.3, math.inf]


def test_the_delay_of_a_page_is_that_of_the_last_seconds() -> None:
    page = PageCounters(WallCounters())
    bounds = []
    for now_s, delay_ms in ((0, 250), (10, 1), (20, 1)):
        page.sent(1, delay_ms * MS, now_s * 1000 * MS)
        bounds.append(page.delay_p99_s)
    assert bounds == [0.3, 0.3, 0.001]


def test_reports_add_up_whatever_a_page_does() -> None:
    wall = WallCounters()
    page = PageCounters(wall)
    for each in (report(10, 1), report(25, 1), report(5, 0), report(7, 2), report(3, 3, stream="door")):
        page.reported(each)
    assert (wall.shown, wall.dropped) == (25 + 7 + 3, 1 + 2 + 3)
    page.forget("cam")
    page.reported(report(4, 0))
    assert wall.shown == 25 + 7 + 3 + 4


def test_the_age_of_a_page_is_that_of_its_oldest_picture() -> None:
    page = PageCounters(WallCounters())
    assert page.age_s is None
    page.reported(report(1, 0, 31))
    page.reported(report(1, 0, 72.5, stream="door"))
    page.reported(report(0, 0, None, stream="garden"))
    assert page.age_s == 0.0725
