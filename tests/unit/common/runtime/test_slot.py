from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fanlight.common.runtime.slot import NewestSlot
from tests.support.timing import scaled


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


@pytest.mark.parametrize(
    ("event", "taken"), [(lambda slot: slot.put(7), 7), (NewestSlot.close, None)], ids=["item", "end"]
)
def test_a_waiting_take_ends_with_the_next_item_or_the_end(
    event: Callable[[NewestSlot[int]], object], taken: int | None
) -> None:
    slot: NewestSlot[int] = NewestSlot()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(slot.take, 60)
        event(slot)
        assert waiting.result(scaled(10)) == taken
