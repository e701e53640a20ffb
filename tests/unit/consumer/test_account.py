from __future__ import annotations

import threading

from fanlight.consumer.account import Account, Shown
from fanlight.consumer.stats import Event, Outcome
from tests.support.headers import header

MS = 1_000_000


def shown(seq: int, *, shared: bool = False, skew_ns: int | None = None) -> Shown:
    of = header(seq, capture_ns=100 + seq)
    return Shown(of, 200 + seq, 300 + seq, 10 * MS, skew_ns, 0, shared)


def test_figures_include_what_was_only_noted_down() -> None:
    account = Account()
    account.shown.append(shown(0))
    assert (account.stats().presented, account.details().stats.presented) == (1, 1)
    account.shown.append(shown(1, skew_ns=-2 * MS))
    details = account.details()
    assert (details.stats.presented, details.presented_ns) == (2, 0)
    assert (sum(details.ages.counts), sum(details.skews.counts)) == (2, 1)


def test_a_shared_frame_arrives_when_it_is_shown_and_nothing_crossed_a_line() -> None:
    account = Account()
    account.arrived(header(4), 1000, 204)
    account.shown.append(shown(4))
    stats = account.stats()
    assert (stats.received, stats.received_bytes, stats.shared) == (1, 1000, False)
    account.shown.append(shown(5, shared=True))
    stats = account.stats()
    assert (stats.received, stats.received_bytes, stats.shared, stats.highest_seq) == (2, 1000, True, 5)


def test_fates_are_told_in_the_order_in_which_they_came() -> None:
    account, told = Account(), list[Outcome]()
    account.on_outcome = told.append
    account.shown.append(shown(0))
    account.dropped(header(1, capture_ns=101), 201, Event.LATE)
    account.duplicate(header(0, capture_ns=100), 202)
    account.shown.append(shown(2))
    account.settle()
    assert told == [
        Outcome(0, 100, 200, 300, Event.PRESENTED),
        Outcome(1, 101, 201, None, Event.LATE),
        Outcome(0, 100, 202, None, Event.SUPERSEDED),
        Outcome(2, 102, 202, 302, Event.PRESENTED),
    ]
    stats = account.stats()
    assert (stats.presented, stats.late, stats.repeated, stats.superseded) == (2, 1, 1, 0)


def test_threads_that_settle_at_once_count_each_frame_once() -> None:
    account, told = Account(), list[Outcome]()
    account.on_outcome = told.append
    account.shown.extend(shown(seq) for seq in range(500))
    threads = [threading.Thread(target=account.settle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.seq for outcome in told] == list(range(500))
    assert account.stats().presented == 500
