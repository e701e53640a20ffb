"""What is counted of pages."""

from __future__ import annotations

import math

from fanlight.consumer.wall.counters import PageCounters, WallCounters
from fanlight.consumer.wall.message import Report
from tests.unit.consumer.wall.build import MS


def report(shown: int, dropped: int, age_ms: float | None = None, stream: str = "cam") -> Report:
    return Report(stream, shown, dropped, age_ms)


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


def test_reports_of_all_pages_and_streams_add_up() -> None:
    wall = WallCounters()
    page = PageCounters(wall)
    for each in (report(60, 1), report(60, 0), report(3, 3, stream="door")):
        page.reported(each)
    PageCounters(wall).reported(report(7, 2))
    assert (wall.shown, wall.dropped) == (60 + 60 + 3 + 7, 1 + 3 + 2)


def test_the_age_of_a_page_is_that_of_its_oldest_picture() -> None:
    page = PageCounters(WallCounters())
    ages_s = [page.age_s]
    page.reported(report(1, 0, 31))
    page.reported(report(1, 0, 72.5, stream="door"))
    page.reported(report(0, 0, None, stream="garden"))
    ages_s.append(page.age_s)
    page.forget("door")
    ages_s.append(page.age_s)
    assert ages_s == [None, 0.0725, 0.031]
