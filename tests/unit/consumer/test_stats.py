from __future__ import annotations

import threading
from dataclasses import fields, replace

import pytest

from fanlight.consumer.stats import ConsumerStats, Event, Meters
from tests.support.headers import header

SECOND = 1_000_000_000
MS = 1_000_000

FRESH = ConsumerStats(
    connected=False,
    blocked=False,
    received=0,
    received_bytes=0,
    presented=0,
    superseded=0,
    late=0,
    undecodable=0,
    awaiting_key=0,
    malformed=0,
    repeated=0,
    lost=0,
    reconnects=0,
    overstayed=0,
    shared=False,
    fps=0.0,
    age_p50_s=None,
    age_p99_s=None,
    jitter_s=0.0,
    skew_p50_s=None,
    epoch=0,
    highest_seq=-1,
)


def arrive(meters: Meters, seq: int, *, epoch: int = 9, transit_ns: int = 0, capture_ns: int = 0) -> None:
    meters.arrived(header(seq, epoch=epoch, capture_ns=capture_ns), 100, capture_ns + transit_ns)


def test_before_anything_happened() -> None:
    assert Meters().snapshot(0) == FRESH


@pytest.mark.parametrize("event", [e for e in Event if e is not Event.PRESENTED])
def test_every_fate_has_its_own_counter(event: Event) -> None:
    meters = Meters()
    meters.ended(event)
    meters.ended(event)
    counts = {f.name: getattr(meters.snapshot(0), f.name) for f in fields(ConsumerStats)}
    assert {name for name, value in counts.items() if value == 2} == {event.value}
    assert counts == {f.name: getattr(FRESH, f.name) for f in fields(ConsumerStats)} | {event.value: 2}


def test_malformed_repeated_and_lost_frames_are_counted_apart() -> None:
    meters = Meters()
    meters.malformed()
    meters.repeated()
    meters.repeated()
    meters.lost(3)
    meters.lost(4)
    snapshot = meters.snapshot(0)
    assert (snapshot.malformed, snapshot.repeated, snapshot.lost) == (1, 2, 7)
    assert snapshot.received == 0


def test_arrivals_tell_count_bytes_and_position() -> None:
    meters = Meters()
    for seq in (5, 6, 9):
        arrive(meters, seq)
    snapshot = meters.snapshot(0)
    assert (snapshot.received, snapshot.received_bytes) == (3, 300)
    assert (snapshot.epoch, snapshot.highest_seq) == (9, 9)


def test_a_new_epoch_starts_a_new_position_and_keeps_the_counts() -> None:
    meters = Meters()
    arrive(meters, 500)
    arrive(meters, 0, epoch=10)
    snapshot = meters.snapshot(0)
    assert (snapshot.received, snapshot.epoch, snapshot.highest_seq) == (2, 10, 0)


def test_pictures_that_were_held_for_too_long_are_counted_apart() -> None:
    meters = Meters()
    meters.overstayed()
    meters.overstayed()
    assert meters.snapshot(0) == replace(FRESH, overstayed=2)


def test_the_last_frame_says_by_which_way_it_came() -> None:
    meters = Meters()
    seen = [meters.snapshot(0).shared]
    for shared in (True, True, False, True):
        meters.presented(age_s=0.01, skew_s=None, now_ns=0, shared=shared)
        seen.append(meters.snapshot(0).shared)
    meters.presented(age_s=0.01, skew_s=None, now_ns=0)
    seen.append(meters.snapshot(0).shared)
    assert seen == [False, True, True, False, True, False]
    assert meters.snapshot(0).presented == 5


def test_whether_the_broker_is_blocked_is_forgotten_with_the_connection() -> None:
    meters = Meters()
    meters.connection(up=True)
    meters.blocked(True)
    assert meters.snapshot(0).blocked
    meters.blocked(False)
    assert not meters.snapshot(0).blocked
    meters.blocked(True)
    meters.connection(up=False)
    assert not meters.snapshot(0).blocked


def test_only_a_connection_that_stood_and_fell_counts_as_a_reconnect() -> None:
    meters = Meters()
    seen = []
    for up in (False, True, True, False, False, True):
        meters.connection(up=up)
        snapshot = meters.snapshot(0)
        seen.append((snapshot.connected, snapshot.reconnects))
    assert seen == [(False, 0), (True, 0), (True, 0), (False, 1), (False, 1), (True, 1)]


def test_ages_are_those_of_the_last_five_seconds() -> None:
    meters = Meters()
    for n in range(100):
        meters.presented(age_s=(n + 1) / 1000, skew_s=None, now_ns=n * MS)
    snapshot = meters.snapshot(99 * MS)
    assert snapshot.presented == 100
    assert (snapshot.age_p50_s, snapshot.age_p99_s) == (0.050, 0.099)
    later = meters.snapshot(60 * SECOND)
    assert later.presented == 100, "counters run since the start"
    assert (later.age_p50_s, later.age_p99_s, later.fps) == (None, None, 0.0)


def test_fps_counts_presented_frames_only() -> None:
    meters = Meters()
    for n in range(31):
        arrive(meters, 2 * n)
        meters.ended(Event.SUPERSEDED)
        meters.presented(age_s=0.01, skew_s=None, now_ns=n * SECOND // 30)
    assert meters.snapshot(SECOND).fps == pytest.approx(30)


def test_skew_is_a_distance_and_absent_without_synchronised_playout() -> None:
    meters = Meters()
    meters.presented(age_s=0.15, skew_s=None, now_ns=0)
    assert meters.snapshot(0).skew_p50_s is None
    for skew_s in (-0.003, 0.001, 0.002):
        meters.presented(age_s=0.15, skew_s=skew_s, now_ns=0)
    assert meters.snapshot(0).skew_p50_s == 0.002
    assert meters.snapshot(6 * SECOND).skew_p50_s is None


def test_jitter_is_in_seconds_and_starts_anew_with_a_new_epoch() -> None:
    meters = Meters()
    arrive(meters, 0, transit_ns=0)
    arrive(meters, 1, transit_ns=16 * MS)
    assert meters.snapshot(0).jitter_s == pytest.approx(0.001)
    arrive(meters, 0, epoch=10, transit_ns=-(10**18))
    assert meters.snapshot(0).jitter_s == pytest.approx(0.001), "another producer, another clock"


def test_skipped_frames_are_those_that_arrived_whole_and_were_not_shown() -> None:
    meters = Meters()
    for event, times in zip(Event, (1, 2, 4, 8, 16), strict=True):
        for _ in range(times):
            meters.ended(event)
    assert meters.snapshot(0).skipped == 2 + 4 + 16


def test_counting_from_several_threads_loses_nothing() -> None:
    meters = Meters()

    def count() -> None:
        for n in range(2000):
            arrive(meters, n)
            meters.lost(1)
            meters.presented(age_s=0.0, skew_s=None, now_ns=0)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = meters.snapshot(0)
    assert (snapshot.received, snapshot.lost, snapshot.presented) == (8000, 8000, 8000)


def test_details_say_what_happened_last() -> None:
    meters = Meters()
    assert (meters.details(0).presented_ns, meters.details(0).last_fate) == (None, None)
    meters.presented(age_s=0.01, skew_s=None, now_ns=5)
    meters.ended(Event.AWAITING_KEY)
    meters.keyframe_requested()
    meters.decoding.observe(0.002)
    details = meters.details(6)
    assert (details.presented_ns, details.last_fate) == (5, Event.AWAITING_KEY)
    assert (details.keyframe_requests, sum(details.skews.counts)) == (1, 0)
    assert (sum(details.ages.counts), details.decoding.total) == (1, 0.002)
    assert details.stats.awaiting_key == 1
