from __future__ import annotations

import threading

from fanlight.common.runtime.slot import Slot


def test_the_newest_wins_and_the_giver_is_told() -> None:
    slot: Slot[int] = Slot()
    assert [slot.put(n) for n in (1, 2, 3)] == [False, True, True]
    assert slot.take(0) == 3
    assert slot.take(0) is None
    assert slot.put(4) is False


def test_what_is_left_is_taken_after_closing() -> None:
    slot: Slot[int] = Slot()
    slot.put(1)
    slot.close()
    assert (slot.closed, slot.drained) == (True, False)
    assert slot.take(60) == 1
    assert slot.drained
    assert slot.take(60) is None


def test_whoever_waits_gets_what_comes() -> None:
    slot: Slot[int] = Slot()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(slot.take(60)))
    thread.start()
    slot.put(7)
    thread.join(10)
    assert taken == [7]


def test_closing_wakes_whoever_waits() -> None:
    slot: Slot[int] = Slot()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(slot.take(60)))
    thread.start()
    slot.close()
    thread.join(10)
    assert taken == [None]
