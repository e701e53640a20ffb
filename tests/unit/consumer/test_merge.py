from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.consumer.merge import Input, Merge


class Call:
    """A call that waits."""

    def __init__(self) -> None:
        self.woken = False
        self.alive = True

    def wake(self) -> bool:
        self.woken = True
        return self.alive


class Bench:
    """A merge with inputs whose threads do what they are told, and what became of every item."""

    def __init__(self, inputs: int = 2) -> None:
        self.woken = [True] * inputs  # since they have not begun to wait
        self.dropped: list[int] = []
        self.presented: list[int] = []
        self.too_old: set[int] = set()
        self.inputs = [
            Input[int, int](partial(self.wake, at), self.present, self.dropped.append)
            for at in range(inputs)
        ]
        self.merge = Merge(self.inputs)
        self.calls: list[Call] = []
        self.made = 0

    def wake(self, at: int) -> None:
        self.woken[at] = True

    def look(self, at: int, finds: bool = True) -> int | None:
        """What its thread does when it is wanted."""
        self.made += finds
        self.merge.put(self.inputs[at], self.made if finds else None)
        return self.made if finds else None

    def present(self, item: int) -> int | None:
        if item in self.too_old:
            self.dropped.append(item)
            return None
        self.presented.append(item)
        return item

    def next(self, call: int = 0) -> int | None:
        """A call runs again."""
        waiter = self.calls[call] if self.calls else Call()
        waiter.woken = False
        return self.merge.next(waiter)

    def read(self) -> int | None:
        """A call that begins to wait; it stays if there is nothing for it."""
        call = Call()
        self.merge.join(call)
        found = self.merge.next(call)
        if found is None:
            self.calls.append(call)
        else:
            self.merge.leave(call)
        return found


def test_a_thread_is_not_wanted_before_a_call_waits() -> None:
    bench = Bench(1)
    bench.woken = [False]
    assert not bench.merge.wanted(bench.inputs[0])
    assert bench.read() is None
    assert bench.woken == [True]
    assert bench.merge.wanted(bench.inputs[0])
    before = bench.merge.settled
    bench.look(0, finds=False)
    assert (before, bench.merge.settled) == (False, True)
    assert bench.next() is None


def test_what_was_taken_before_is_not_handed_on_before_its_thread_has_looked_again() -> None:
    bench = Bench(1)
    bench.read()
    first = bench.look(0)
    bench.merge.leave(bench.calls.pop())  # cancelled
    assert not bench.merge.wanted(bench.inputs[0])
    assert bench.read() is None
    second = bench.look(0)
    assert bench.next() == second
    assert bench.dropped == [first]


def test_an_item_that_is_not_newer_is_kept_for_the_next_call() -> None:
    bench = Bench(1)
    bench.read()
    first = bench.look(0)
    bench.merge.leave(bench.calls.pop())
    bench.merge.wanted(bench.inputs[0])
    bench.read()
    bench.look(0, finds=False)
    assert bench.next() == first


def test_the_input_that_was_served_longest_ago_is_next_however_fast_another_is() -> None:
    bench = Bench(2)
    order = []
    for _ in range(6):
        bench.merge.wanted(bench.inputs[0])
        bench.merge.wanted(bench.inputs[1])
        assert bench.read() is None
        quick = bench.look(0)
        got = bench.next() or (bench.look(1) and bench.next())
        order.append(0 if got == quick else 1)
        bench.merge.leave(bench.calls.pop())
    assert order == [0, 1, 0, 1, 0, 1]


def test_an_item_that_is_too_old_is_passed_over() -> None:
    bench = Bench(2)
    bench.read()
    for at in (0, 1):
        bench.look(at)
    bench.too_old = {1}
    assert bench.next() == 2
    assert bench.dropped == [1]


def test_what_an_ended_input_left_is_still_handed_on() -> None:
    bench = Bench(1)
    bench.read()
    last = bench.look(0)
    bench.merge.end(bench.inputs[0])
    before = bench.merge.ended
    assert bench.next() == last
    assert (before, bench.merge.ended) == (False, True)


@pytest.mark.parametrize("way", ["leaves", "is gone"])
def test_a_call_that_takes_nothing_leaves_it_to_the_next_one(way: str) -> None:
    bench = Bench(1)
    bench.read()
    bench.read()
    first, second = bench.calls
    first.alive = way == "leaves"
    bench.look(0)
    assert first.woken
    assert second.woken == (way == "is gone")
    bench.merge.leave(first)
    assert second.woken
    assert bench.next() == 1


def test_a_call_that_does_not_run_when_it_is_woken_does_not_hold_up_the_next() -> None:
    bench = Bench(1)
    bench.read()
    bench.read()
    bench.look(0)
    assert [call.woken for call in bench.calls] == [True, False]
    bench.look(0)
    assert [call.woken for call in bench.calls] == [True, True]
    assert bench.next(1) == 2


def test_leaving_without_having_joined_does_nothing() -> None:
    Bench(1).merge.leave(Call())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("thread"), st.integers(0, 1), st.booleans()),
        st.tuples(st.just("read"), st.just(0), st.just(False)),
        st.tuples(st.just("run"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("end"), st.integers(0, 20), st.just(False)),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(STEPS)
def test_every_item_has_one_end_and_no_wake_is_lost(steps: list[tuple[str, int, bool]]) -> None:
    bench = Bench(2)
    for kind, at, flag in steps:
        source = bench.inputs[at % 2]
        if kind == "thread" and not source.ended:
            bench.woken[at] = False
            if bench.merge.wanted(source):
                bench.look(at, finds=flag)
                bench.woken[at] = True  # it goes on
        elif kind == "end" and at < 2:  # seldom
            bench.merge.end(source)
        elif kind == "read":
            bench.read()
        elif kind == "run" and bench.calls:  # it is woken, or else cancelled
            call = bench.calls[at % len(bench.calls)]
            if flag or bench.next(bench.calls.index(call)) is not None:
                bench.calls.remove(call)
                bench.merge.leave(call)
        if bench.calls:
            assert all(bench.woken[at] for at, each in enumerate(bench.inputs) if not each.current)
            assert any(call.woken for call in bench.calls) or not _available(bench)
    waiting = [s.newest for s in bench.inputs if s.newest is not None]
    assert sorted([*bench.presented, *bench.dropped, *waiting]) == list(range(1, bench.made + 1))


def _available(bench: Bench) -> bool:
    """Whether `next` would find something."""
    for source in sorted(bench.inputs, key=lambda each: each.served):
        if not source.current:
            return False
        if source.newest is not None:
            return True
    return False
