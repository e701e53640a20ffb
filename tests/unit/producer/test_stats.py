from __future__ import annotations

import pytest

from fanlight.producer.metrics import producer_health
from fanlight.producer.stats import MOST_NAMES, Drop, Drops, ProducerCounters

SECOND = 1_000_000_000


def test_everything_has_its_own_counter() -> None:
    counters = ProducerCounters()
    for _ in range(2):
        counters.captured(0)
    for count, why in enumerate(Drop, 3):
        for _ in range(count):
            counters.dropped(why)
    for _ in range(6):
        counters.add("keyframe_requests")
    counters.published(100, key=True, encode_s=0.004, now_ns=0)
    counters.published(10, key=False, encode_s=0.004, now_ns=SECOND)
    stats = counters.stats(SECOND)
    assert (stats.captured, stats.skipped, stats.unwatched, stats.stale) == (2, 3, 4, 5)
    assert (stats.unencodable, stats.unreadable, stats.limited) == (6, 7, 8)
    assert (stats.keyframe_requests, stats.published, stats.published_bytes) == (6, 2, 110)
    assert (stats.keyframes, stats.fps) == (1, 1.0)


def test_drops_of_the_source_count_as_captured() -> None:
    drops = Drops({Drop.UNREADABLE: 2})
    counters = ProducerCounters(drops)
    counters.captured(0)
    counters.dropped(Drop.SKIPPED)
    drops[Drop.SKIPPED] += 3
    stats = counters.stats(0)
    assert (stats.captured, stats.skipped, stats.unreadable) == (6, 4, 2)
    assert ProducerCounters().metrics(0).captured_ns is None
    assert counters.metrics(0).captured_ns == 0


def test_a_snapshot_changes_nothing() -> None:
    counters, other = ProducerCounters(), ProducerCounters()
    for each in (counters, other):
        each.reported("wall", 0)
        each.published(1, key=True, encode_s=0.004, now_ns=0)
        each.published(1, key=True, encode_s=0.004, now_ns=SECOND)
    counters.metrics(60 * SECOND)
    assert counters.metrics(2 * SECOND) == other.metrics(2 * SECOND)
    assert counters.stats(2 * SECOND).fps > 0


def test_consumers_are_those_that_reported_in_the_last_3_s() -> None:
    counters = ProducerCounters()
    counters.reported("wall", 0)
    counters.reported("table", 2 * SECOND)
    assert counters.stats(3 * SECOND).consumers == ("table", "wall")
    assert counters.stats(3 * SECOND + 1).consumers == ("table",)
    counters.reported("wall", 4 * SECOND)
    assert counters.stats(4 * SECOND).consumers == ("table", "wall")
    assert counters.stats(8 * SECOND).consumers == ()


def test_a_flood_of_names_expires_and_does_not_displace_others() -> None:
    counters = ProducerCounters()
    counters.reported("wall", 0)
    for number in range(100_000):
        counters.reported(f"n{number}", number)
    counters.reported("wall", 2 * SECOND)
    consumers = counters.stats(2 * SECOND).consumers
    assert len(consumers) == MOST_NAMES
    assert "wall" in consumers
    counters.reported("table", 4 * SECOND)
    assert counters.stats(4 * SECOND).consumers == ("table", "wall")


@pytest.mark.parametrize(("fps", "interval_s"), [(30, 1 / 30), (25, 4), (25, 60), (1 / 86_400, 86_400)])
def test_how_long_a_source_may_be_silent_follows_its_rate(fps: float, interval_s: float) -> None:
    counters = ProducerCounters()
    for number in range(9):
        counters.captured(int(number * interval_s * SECOND), fps)
    assert counters.metrics(0).stall_s == pytest.approx(max(3, 3 * interval_s))


def test_a_time_lapse_is_healthy_from_its_first_picture_on() -> None:
    counters = ProducerCounters()
    counters.connection(up=True, now_ns=0)
    counters.captured(0, fps=0.0004)
    found = counters.metrics(0)
    for now_s in (0, 2000, 7000):
        assert producer_health(found, now_s * SECOND, found.stall_s, watched=False).ok
    assert not producer_health(found, 7600 * SECOND, found.stall_s, watched=False).ok


def test_time_blocked_adds_up_and_ends_with_the_connection() -> None:
    counters = ProducerCounters()
    counters.connection(up=True, now_ns=0)
    counters.blocked(True, 1 * SECOND)
    counters.blocked(True, 2 * SECOND)
    assert counters.stats(3 * SECOND).blocked
    assert counters.stats(3 * SECOND).blocked_s == 2.0
    counters.blocked(False, 4 * SECOND)
    assert counters.stats(9 * SECOND).blocked_s == 3.0
    counters.blocked(True, 10 * SECOND)
    counters.connection(up=False, now_ns=11 * SECOND)
    stats = counters.stats(20 * SECOND)
    assert (stats.blocked, stats.blocked_s, stats.connected, stats.reconnects) == (False, 4.0, False, 1)
