from __future__ import annotations

import itertools
from types import SimpleNamespace

from fanlight.common.model.stall_detector import Stall, StallDetector, grown_most

SECOND = 1_000_000_000


def said(counts: list[int], every_s: int = 1, patience_s: int = 0) -> dict[int, Stall]:
    """What is said when, if it is called so often with these counts."""
    watch = StallDetector()
    found = {
        at * every_s: watch.observe(count, at * every_s * SECOND, patience_s * SECOND)
        for at, count in enumerate(counts)
    }
    return {at: stall for at, stall in found.items() if stall is not None}


def test_nothing_is_said_while_something_comes_through() -> None:
    assert said(list(range(100))) == {}
    assert said([at // 3 for at in range(100)]) == {}, "every three seconds"


def test_it_is_said_within_five_seconds_however_often_it_is_called() -> None:
    for every_s in (1, 2):
        assert min(said([0] * 10, every_s)) <= 5


def test_it_is_said_every_five_seconds_and_later_ever_more_seldom() -> None:
    times = list(said([7] * 4000))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert times[:6] == [4, 9, 14, 19, 24, 29]
    assert gaps == sorted(gaps)
    assert len(times) <= 25
    assert max(gaps) == 300


def test_its_end_is_said_once_if_its_beginning_was() -> None:
    assert said([0] * 8 + [1, 2, 3]) == {4: Stall(4, over=False), 8: Stall(8, over=True)}
    assert said([0] * 3 + [1, 2, 3]) == {}


def test_a_usual_pause_is_not_mentioned() -> None:
    assert said([0] * 50 + [1], patience_s=60) == {}
    assert list(said([0] * 70, patience_s=60)) == [60, 65]


def test_after_a_restart_it_begins_again() -> None:
    watch = StallDetector()
    watch.observe(3, 0)
    assert watch.observe(3, 5 * SECOND) == Stall(5, over=False)
    watch.restart()
    assert watch.observe(3, 90 * SECOND) is None
    assert watch.observe(3, 94 * SECOND) == Stall(4, over=False)


def test_the_counter_that_has_grown_most() -> None:
    before, after = SimpleNamespace(a=7, b=1, c=0), SimpleNamespace(a=8, b=3, c=9)
    assert grown_most(before, after, "ab") == "b"
    assert grown_most(before, before, "ab") is None
