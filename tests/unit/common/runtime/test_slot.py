from __future__ import annotations

import threading

from fanlight.common.runtime.slot import NewestSlot


def test_the_newest_item_replaces_others_and_put_reports_it() -> None:
    slot: NewestSlot[int] = NewestSlot()
    assert [slot.put(n) for n in (1, 2, 3)] == [False, True, True]
    assert slot.take(0) == 3
    assert slot.take(0) is None
    assert slot.put(4) is False


def test_the_item_that_is_left_is_taken_after_closing() -> None:
    slot: NewestSlot[int] = NewestSlot()
    slot.put(1)
    slot.close()
    assert (slot.closed, slot.drained) == (True, False)
    assert slot.take(60) == 1
    assert slot.drained
    assert slot.take(60) is None


def test_a_waiting_take_gets_the_next_item() -> None:
    slot: NewestSlot[int] = NewestSlot()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(slot.take(60)))
    thread.start()
    slot.put(7)
    thread.join(10)
    assert taken == [7]


def test_closing_ends_a_waiting_take() -> None:
    slot: NewestSlot[int] = NewestSlot()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(slot.take(60)))
    thread.start()
    slot.close()
    thread.join(10)
    assert taken == [None]
