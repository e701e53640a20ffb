from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.reorder import MOST_PENDING, MOST_PENDING_BYTES, Reorderer

MS = 1_000_000
DEADLINE_NS = 400 * MS
INTERVAL_NS = 33 * MS


class Item(NamedTuple):
    """What a worker made of a frame, and when that comes."""

    epoch: int
    seq: int
    capture_ns: int
    came_ns: int


def captured(seq: int) -> int:
    return seq * INTERVAL_NS


def item(seq: int, after_ms: int, epoch: int = 1) -> Item:
    return Item(epoch, seq, captured(seq), captured(seq) + after_ms * MS)


class Given(NamedTuple):
    """An item that was given out."""

    at_ns: int
    item: Item


def play(items: Sequence[Item], *, step_ns: int = 5 * MS) -> tuple[list[Given], Reorderer[Item]]:
    """Offer each when it comes; take whenever one came, and every `step_ns`, to the end."""
    reorderer: Reorderer[Item] = Reorderer(DEADLINE_NS)
    arriving = sorted(items, key=lambda item: item.came_ns)
    given: list[Given] = []
    now_ns = arriving[0].came_ns if arriving else 0
    end_ns = now_ns if not arriving else arriving[-1].came_ns + 2 * DEADLINE_NS

    def take(at_ns: int) -> None:
        while (taken := reorderer.take(at_ns)) is not None:
            given.append(Given(at_ns, taken))

    while now_ns <= end_ns:
        while arriving and arriving[0].came_ns <= now_ns:
            came = arriving.pop(0)
            reorderer.offer(came.epoch, came.seq, came.capture_ns, came, came.came_ns)
            take(came.came_ns)
        take(now_ns)
        now_ns += step_ns
    return given, reorderer


items = st.builds(item, st.integers(0, 60), st.integers(0, 600), st.sampled_from([1, 1, 1, 2]))


@given(st.lists(items, max_size=80))
def test_in_order_at_most_once_and_never_after_the_deadline(offered: list[Item]) -> None:
    given, reorderer = play(offered)
    latest: dict[int, int] = {}
    for each in given:
        assert each.item.seq > latest.get(each.item.epoch, -1)
        latest[each.item.epoch] = each.item.seq
        assert each.at_ns <= each.item.capture_ns + DEADLINE_NS
    assert len(reorderer) == 0
    assert len(given) + reorderer.late + reorderer.duplicate + reorderer.dropped == len(offered)


@given(st.lists(st.integers(0, 370), min_size=1, max_size=50))
def test_whatever_comes_in_time_is_given_in_order(after_ms: list[int]) -> None:
    offered = [item(seq, ms) for seq, ms in enumerate(after_ms)]
    given, reorderer = play(offered)
    assert [each.item for each in given] == offered
    assert (reorderer.late, reorderer.duplicate, reorderer.dropped) == (0, 0, 0)


@given(st.sets(st.integers(0, 40), min_size=1), st.data())
def test_a_gap_is_waited_for_until_the_deadline_and_not_longer(seqs: set[int], data: st.DataObject) -> None:
    offered = [item(seq, data.draw(st.integers(0, 300))) for seq in sorted(seqs)]
    given, _ = play(offered, step_ns=MS)
    assert [each.item for each in given] == offered
    for each in given:
        before = [other for other in offered if other.seq < each.item.seq]
        whole = len(before) == each.item.seq
        if whole and all(other.came_ns <= each.item.came_ns for other in before):
            assert each.at_ns == each.item.came_ns, "nothing was missing before it"


@given(
    st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**62)), max_size=50)
)
def test_any_numbers_are_bounded_and_leave_it_in_order(numbers: list[tuple[int, int, int]]) -> None:
    reorderer: Reorderer[tuple[int, int]] = Reorderer(DEADLINE_NS)
    given: list[tuple[int, int]] = []
    for at, (epoch, seq, capture_ns) in enumerate(numbers):
        reorderer.offer(epoch, seq, capture_ns, (epoch, seq), at * MS)
        while (taken := reorderer.take(at * MS)) is not None:
            given.append(taken)
    assert len(set(given)) == len(given)
    later_ns = len(numbers) * MS + 2 * DEADLINE_NS
    assert reorderer.take(later_ns) is None, "all are late by then"
    assert len(reorderer) == 0


def test_a_consumer_that_takes_nothing_keeps_a_bounded_number() -> None:
    reorderer: Reorderer[int] = Reorderer(DEADLINE_NS)
    for seq in range(3 * MOST_PENDING):
        reorderer.offer(1, seq, 0, seq, 0)
    assert len(reorderer) == MOST_PENDING
    assert reorderer.dropped == 2 * MOST_PENDING
    assert reorderer.take(0) == 2 * MOST_PENDING


def test_a_consumer_that_takes_nothing_keeps_a_bounded_size() -> None:
    reorderer: Reorderer[int] = Reorderer(DEADLINE_NS)
    for round_ in range(2):  # what is taken makes room
        for seq in range(10):
            reorderer.offer(1, 100 * round_ + seq, 0, seq, 0, MOST_PENDING_BYTES // 4)
        assert len(reorderer) == 4
        assert [reorderer.take(DEADLINE_NS) for _ in range(5)] == [6, 7, 8, 9, None]
    assert reorderer.dropped == 12


def test_the_same_frame_twice_is_given_once() -> None:
    given, reorderer = play([item(0, 10), item(0, 20), item(1, 10), item(1, 10)])
    assert [each.item.seq for each in given] == [0, 1]
    assert reorderer.duplicate == 2


def test_a_new_producer_follows_the_one_before() -> None:
    offered = [item(5, 100), item(7, 100), Item(2, 0, captured(8), captured(8) + 10 * MS)]
    given, _ = play(offered)
    assert [(each.item.epoch, each.item.seq) for each in given] == [(1, 5), (1, 7), (2, 0)]


def test_a_forged_epoch_holds_the_stream_up_for_a_second_at_most() -> None:
    real = [item(seq, 50) for seq in range(90)]
    forged = Item(9, 10**9, captured(20), captured(20) + 51 * MS)
    given, _ = play([*real, forged])
    last = [each.item.seq for each in given if each.item.epoch == 1]
    assert last[-1] == 89
    assert last == sorted(last)


def test_a_time_in_the_future_does_not_hold_up_the_others() -> None:
    reorderer: Reorderer[int] = Reorderer(DEADLINE_NS)
    reorderer.offer(1, 3, 10**18, 3, 0)
    reorderer.offer(1, 5, 0, 5, 0)
    due_ns = reorderer.next_ns()
    assert due_ns is not None
    assert due_ns < DEADLINE_NS
    assert [reorderer.take(due_ns), reorderer.take(due_ns), reorderer.take(due_ns)] == [3, 5, None]


def test_it_says_when_to_come_again() -> None:
    reorderer: Reorderer[int] = Reorderer(DEADLINE_NS)
    assert reorderer.next_ns() is None
    reorderer.offer(1, 4, 100 * MS, 4, 120 * MS)
    due_ns = reorderer.next_ns()
    assert due_ns is not None
    assert reorderer.take(due_ns - 1) is None
    assert reorderer.take(due_ns) == 4
    assert due_ns < 100 * MS + DEADLINE_NS
