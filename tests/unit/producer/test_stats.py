from __future__ import annotations

from fanlight.producer.stats import MOST_NAMES, Drop, Drops, Meters, ProducerStats

SECOND = 1_000_000_000


def test_before_anything_happened() -> None:
    assert Meters().snapshot(0) == ProducerStats(
        captured=0, published=0, published_bytes=0, keyframes=0, skipped=0, unwatched=0, stale=0,
        unencodable=0, unreadable=0, limited=0, unsent=0, refused=0, connected=False,
        reconnects=0, blocked=False, blocked_s=0.0, keyframe_requests=0, consumers=(), fps=0.0,
    )  # fmt: skip


def test_everything_has_its_own_counter() -> None:
    meters = Meters()
    for _ in range(2):
        meters.captured(0)
    for count, why in enumerate(Drop, 3):
        for _ in range(count):
            meters.dropped(why)
    for _ in range(6):
        meters.keyframe_requested()
    meters.published(100, key=True, encode_s=0.004, now_ns=0)
    meters.published(10, key=False, encode_s=0.004, now_ns=SECOND)
    stats = meters.snapshot(SECOND)
    assert (stats.captured, stats.skipped, stats.unwatched, stats.stale) == (2, 3, 4, 5)
    assert (stats.unencodable, stats.unreadable, stats.limited) == (6, 7, 8)
    assert (stats.keyframe_requests, stats.published, stats.published_bytes) == (6, 2, 110)
    assert (stats.keyframes, stats.fps) == (1, 1.0)


def test_what_the_source_drops_was_captured_too() -> None:
    drops = Drops({Drop.UNREADABLE: 2})
    meters = Meters(drops)
    meters.captured(0)
    meters.dropped(Drop.SKIPPED)
    drops[Drop.SKIPPED] += 3
    stats = meters.snapshot(0)
    assert (stats.captured, stats.skipped, stats.unreadable) == (6, 4, 2)
    assert meters.details(0).captured_ns == 0


def test_a_look_at_the_figures_changes_nothing() -> None:
    meters, unseen = Meters(), Meters()
    for each in (meters, unseen):
        each.reported("wall", 0)
        each.published(1, key=True, encode_s=0.004, now_ns=0)
        each.published(1, key=True, encode_s=0.004, now_ns=SECOND)
    meters.details(60 * SECOND)
    assert meters.details(2 * SECOND) == unseen.details(2 * SECOND)
    assert meters.snapshot(2 * SECOND).fps > 0


def test_consumers_are_those_that_reported_lately() -> None:
    meters = Meters()
    meters.reported("wall", 0)
    meters.reported("desk", 2 * SECOND)
    assert meters.snapshot(3 * SECOND).consumers == ("desk", "wall")
    assert meters.snapshot(3 * SECOND + 1).consumers == ("desk",)
    meters.reported("wall", 4 * SECOND)
    assert meters.snapshot(4 * SECOND).consumers == ("desk", "wall")
    assert meters.snapshot(8 * SECOND).consumers == ()


def test_a_flood_of_names_is_forgotten_and_those_that_were_there_stay() -> None:
    meters = Meters()
    meters.reported("wall", 0)
    for number in range(100_000):
        meters.reported(f"n{number}", number)
    meters.reported("wall", 2 * SECOND)
    consumers = meters.snapshot(2 * SECOND).consumers
    assert len(consumers) == MOST_NAMES
    assert "wall" in consumers
    meters.reported("desk", 4 * SECOND)
    assert meters.snapshot(4 * SECOND).consumers == ("desk", "wall")


def test_time_blocked_adds_up_and_ends_with_the_connection() -> None:
    meters = Meters()
    meters.connection(up=True, now_ns=0)
    meters.blocked(True, 1 * SECOND)
    meters.blocked(True, 2 * SECOND)
    assert meters.snapshot(3 * SECOND).blocked
    assert meters.snapshot(3 * SECOND).blocked_s == 2.0
    meters.blocked(False, 4 * SECOND)
    assert meters.snapshot(9 * SECOND).blocked_s == 3.0
    meters.blocked(True, 10 * SECOND)
    meters.connection(up=False, now_ns=11 * SECOND)
    stats = meters.snapshot(20 * SECOND)
    assert (stats.blocked, stats.blocked_s, stats.connected, stats.reconnects) == (False, 4.0, False, 1)


def test_details_say_when_things_happened() -> None:
    meters = Meters()
    assert meters.details(0).captured_ns is None
    meters.captured(1)
    meters.wanted(2)
    meters.published(10, key=True, encode_s=0.004, now_ns=3)
    details = meters.details(4)
    assert (details.captured_ns, details.wanted_ns, details.published_ns) == (1, 2, 3)
    assert (sum(details.encoding.counts), details.encoding.total) == (1, 0.004)
