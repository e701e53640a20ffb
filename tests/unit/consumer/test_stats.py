from __future__ import annotations

import threading
from dataclasses import fields, replace

import pytest

from fanlight.consumer.metrics import consumer_health
from fanlight.consumer.stats import ConsumerCounters, ConsumerStats, Outcome, Presented, TraceRow
from tests.support.headers import header

MS = 1_000_000
SECOND = 1000 * MS

FRESH = ConsumerStats(
    connected=False, blocked=False, received=0, received_bytes=0, presented=0, superseded=0, late=0,
    undecodable=0, awaiting_key=0, malformed=0, duplicate=0, lost=0, reconnects=0, expired=0,
    shared=False, fps=0.0, age_p50_s=None, age_p99_s=None, jitter_s=0.0, skew_p50_s=None, epoch=0,
    highest_seq=-1, producer_away_s=0.0,
)  # fmt: skip


@pytest.fixture
def counters() -> ConsumerCounters:
    return ConsumerCounters()


@pytest.fixture
def rows(counters: ConsumerCounters) -> list[TraceRow]:
    rows: list[TraceRow] = []
    counters.on_trace = rows.append
    return rows


def receive(
    counters: ConsumerCounters, seq: int, *, epoch: int = 9, transit_ns: int = 0, capture_ns: int = 0
) -> None:
    counters.received(header(seq, epoch=epoch, capture_ns=capture_ns), 100, capture_ns + transit_ns)


def shown(
    seq: int = 0,
    *,
    age_ns: int = 10 * MS,
    skew_ns: int | None = None,
    now_ns: int = 0,
    shared: bool = False,
) -> Presented:
    return Presented(
        header(seq, capture_ns=100 + seq), 200 + seq, 300 + seq, age_ns, skew_ns, now_ns, shared
    )


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.PRESENTED])
def test_every_outcome_has_its_own_counter(counters: ConsumerCounters, outcome: Outcome) -> None:
    for _ in range(2):
        counters.dropped(header(0), 0, outcome)
    counts = {f.name: getattr(counters.stats(0), f.name) for f in fields(ConsumerStats)}
    assert counts == {f.name: getattr(FRESH, f.name) for f in fields(ConsumerStats)} | {outcome.value: 2}


def test_what_is_no_outcome_of_a_received_frame_is_counted_apart(counters: ConsumerCounters) -> None:
    counters.count("malformed")
    counters.count("lost", 3)
    counters.count("lost", 4)
    counters.count("expired", 2)
    counters.count("keyframe_requests")
    counters.duplicate(header(0), 0)
    assert counters.stats(0) == replace(FRESH, malformed=1, lost=7, expired=2, duplicate=1)
    assert (counters.lost, counters.metrics(0).keyframe_requests) == (7, 1)


def test_the_former_names_work_and_warn() -> None:
    stats = replace(FRESH, duplicate=1, expired=2)
    for former, value in (("repeated", 1), ("overstayed", 2)):
        with pytest.warns(DeprecationWarning, match=f"ConsumerStats.{former} is now called"):
            assert getattr(stats, former) == value


def test_received_frames_count_with_their_bytes_and_position(counters: ConsumerCounters) -> None:
    for seq in (5, 6, 9):
        receive(counters, seq)
    assert counters.stats(0) == replace(
        FRESH, received=3, received_bytes=300, epoch=9, highest_seq=9, producer_away_s=None
    )
    receive(counters, 0, epoch=10)
    stats = counters.stats(0)
    assert (stats.received, stats.epoch, stats.highest_seq) == (4, 10, 0), "a new epoch, the same counts"


def test_overwritten_frames_were_received_and_superseded(counters: ConsumerCounters) -> None:
    counters.overwritten(3)
    assert counters.stats(0) == replace(FRESH, received=3, superseded=3, producer_away_s=None)


def test_a_shared_frame_is_received_when_it_is_shown(
    counters: ConsumerCounters,
) -> None:
    counters.received(header(4), 1000, 204)
    found = []
    for seq, shared in ((4, False), (5, True), (6, False)):
        counters.presented.append(shown(seq, shared=shared))
        stats = counters.stats(0)
        found.append((stats.presented, stats.received, stats.received_bytes, stats.shared))
    assert found == [(1, 1, 1000, False), (2, 2, 1000, True), (3, 2, 1000, False)]


def test_blocked_is_forgotten_with_the_connection(counters: ConsumerCounters) -> None:
    counters.connection(up=True)
    found = []
    for blocked in (True, False, True):
        counters.blocked(blocked)
        found.append(counters.stats(0).blocked)
    counters.connection(up=False)
    assert ([*found, counters.stats(0).blocked]) == [True, False, True, False]


def test_only_a_connection_that_was_up_and_is_lost_counts_as_a_reconnect(
    counters: ConsumerCounters,
) -> None:
    found = []
    for up in (False, True, True, False, False, True):
        counters.connection(up=up)
        stats = counters.stats(0)
        found.append((stats.connected, stats.reconnects))
    assert found == [(False, 0), (True, 0), (True, 0), (False, 1), (False, 1), (True, 1)]


def test_ages_and_rate_are_those_of_the_last_five_seconds(counters: ConsumerCounters) -> None:
    counters.presented.extend(shown(n, age_ns=(n + 1) * MS, now_ns=n * 10 * MS) for n in range(100))
    stats = counters.stats(990 * MS)
    assert (stats.presented, stats.age_p50_s, stats.age_p99_s) == (100, 0.050, 0.099)
    assert stats.fps == pytest.approx(100)
    later = counters.stats(60 * SECOND)
    assert later.presented == 100, "counters run since the start"
    assert (later.age_p50_s, later.age_p99_s, later.fps) == (None, None, 0.0)
    assert sum(counters.metrics(60 * SECOND).ages.counts) == 100


@pytest.mark.parametrize("interval_s", [4, 60])
def test_a_slow_stream_keeps_its_figures_between_two_frames(
    counters: ConsumerCounters, interval_s: int
) -> None:
    for number in range(4):
        counters.presented.append(shown(number, now_ns=number * interval_s * SECOND))
    for later_s in (0, interval_s):
        now_ns = (3 * interval_s + later_s) * SECOND
        stats, metrics = counters.stats(now_ns), counters.metrics(now_ns)
        assert stats.age_p50_s == 0.01
        assert stats.fps == pytest.approx(1 / interval_s, rel=0.5)
        assert metrics.stall_s == 3 * interval_s
        assert consumer_health(metrics, now_ns, metrics.stall_s).ok
    assert counters.stats((6 * interval_s + 1) * SECOND).age_p50_s is None, "it has stopped"


def test_the_time_without_a_producer_is_no_interval_of_the_stream(counters: ConsumerCounters) -> None:
    for epoch, begin_s in ((1, 0), (2, 60)):
        for seq in range(10):
            frame = shown(seq, now_ns=begin_s * SECOND + seq * 33 * MS)
            counters.presented.append(frame._replace(header=header(seq, epoch=epoch)))
    assert counters.metrics(61 * SECOND).stall_s == 3


def test_skew_is_a_distance_and_absent_without_sync(counters: ConsumerCounters) -> None:
    counters.presented.append(shown())
    assert counters.stats(0).skew_p50_s is None
    counters.presented.extend(shown(skew_ns=skew_ns) for skew_ns in (-3 * MS, MS, 2 * MS))
    assert counters.stats(0).skew_p50_s == 0.002
    assert counters.metrics(0).skews.total == pytest.approx(0.006)
    assert counters.stats(121 * SECOND).skew_p50_s is None


def test_jitter_is_in_seconds_and_starts_anew_with_a_new_epoch(counters: ConsumerCounters) -> None:
    receive(counters, 0, transit_ns=0)
    receive(counters, 1, transit_ns=16 * MS)
    assert counters.stats(0).jitter_s == pytest.approx(0.001)
    receive(counters, 0, epoch=10, transit_ns=-(10**18))
    assert counters.stats(0).jitter_s == pytest.approx(0.001), "another producer, another clock"


def test_skipped_frames_are_those_that_arrived_whole_and_were_not_shown() -> None:
    stats = replace(FRESH, presented=1, superseded=2, late=4, undecodable=8, awaiting_key=16)
    assert stats.skipped == 2 + 4 + 16


def test_metrics_contain_what_happened_last(counters: ConsumerCounters) -> None:
    counters.presented.append(shown(now_ns=5))
    counters.dropped(header(1), 0, Outcome.AWAITING_KEY)
    counters.decoding.observe(0.002)
    metrics = counters.metrics(6)
    assert metrics.presented_ns == 5
    assert (metrics.decoding.total, metrics.stats.awaiting_key, metrics.stats.presented) == (0.002, 1, 1)


def test_rows_of_a_trace_come_in_order(counters: ConsumerCounters, rows: list[TraceRow]) -> None:
    counters.presented.append(shown(0))
    counters.dropped(header(1, capture_ns=101), 201, Outcome.LATE)
    counters.duplicate(header(0, capture_ns=100), 202)
    counters.presented.append(shown(2))
    counters.count_presented()
    assert rows == [
        TraceRow(0, 100, 200, 300, Outcome.PRESENTED),
        TraceRow(1, 101, 201, None, Outcome.LATE),
        TraceRow(0, 100, 202, None, Outcome.SUPERSEDED),
        TraceRow(2, 102, 202, 302, Outcome.PRESENTED),
    ]


def test_counting_from_several_threads_loses_nothing(
    counters: ConsumerCounters, rows: list[TraceRow]
) -> None:
    counters.presented.extend(shown(seq) for seq in range(500))

    def count() -> None:
        for n in range(500):
            receive(counters, n)
            counters.count("lost")
        counters.count_presented()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = counters.stats(0)
    assert (stats.received, stats.lost, stats.presented) == (2000, 2000, 500)
    assert [row.seq for row in rows] == list(range(500))
