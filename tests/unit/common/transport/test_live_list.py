from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import pytest

from fanlight.common.model.announcement import EXPIRY_NS, MOST_STREAMS
from fanlight.common.model.errors import WireFormatError
from fanlight.common.transport.live_list import COMPLETE_NS, Listed, LiveList
from tests.unit.common.transport.tcp.build import ANNOUNCEMENT

MS: Final = 1_000_000
SECOND: Final = 1000 * MS
WATCHED: Final = replace(ANNOUNCEMENT, watched=True)


class Told:
    """A list, and what its user was told."""

    def __init__(self) -> None:
        self.lists: list[Listed] = []
        self.live = LiveList(self.lists.append)

    def taken(self) -> list[Listed]:
        lists = self.lists[:]
        self.lists.clear()
        return lists


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_user_is_told_of_each_change_and_of_nothing_else(told: Told) -> None:
    told.live.observe(ANNOUNCEMENT, 0)
    told.live.check(0)
    assert told.taken() == [(ANNOUNCEMENT,)]
    told.live.observe(ANNOUNCEMENT, 2 * SECOND)
    told.live.check(2 * SECOND)
    assert told.taken() == []
    told.live.observe(WATCHED, 3 * SECOND)
    told.live.check(3 * SECOND)
    assert told.taken() == [(WATCHED,)]
    told.live.check(3 * SECOND + EXPIRY_NS)
    assert told.taken() == [()]


def test_the_list_is_complete_after_a_while_even_if_it_is_empty(told: Told) -> None:
    told.live.check(SECOND)
    told.live.established(2 * SECOND)
    told.live.established(4 * SECOND)  # the connection was lost meanwhile
    told.live.check(2 * SECOND + COMPLETE_NS - 1)
    assert (told.taken(), told.live.complete) == ([], False)
    told.live.check(2 * SECOND + COMPLETE_NS)
    assert (told.taken(), told.live.complete) == ([()], True)
    told.live.check(9 * SECOND)
    assert told.taken() == []


def test_the_one_producer_completes_the_list_and_takes_it_along(told: Told) -> None:
    told.live.observe(ANNOUNCEMENT, 0)
    told.live.check(0, complete=True)
    assert (told.taken(), told.live.complete) == ([(ANNOUNCEMENT,)], True)
    told.live.clear()
    told.live.clear()
    assert told.taken() == [()]


def test_however_fast_it_changes_the_user_is_told_ten_times_a_second(told: Told) -> None:
    for ms in range(1000):
        told.live.observe(replace(ANNOUNCEMENT, epoch=ms // 500, watched=bool(ms % 2)), ms * MS)
        told.live.check(ms * MS)
    assert len(told.taken()) == 10
    told.live.check(1500 * MS)
    assert told.taken() == [(replace(WATCHED, epoch=1),)], "the last state comes in the end"


def test_what_is_refused_is_counted_and_logged_once_a_second(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(MOST_STREAMS + 5):
        told.live.observe(replace(ANNOUNCEMENT, stream=f"s{number}"), 0)
    for _ in range(5):
        told.live.malformed(WireFormatError("codec", "av1", "h264"), 0)
    told.live.malformed(WireFormatError("codec", "av1", "h264"), SECOND)
    assert told.live.refused == 11
    assert caplog.messages == [
        f"stream s{MOST_STREAMS} is one too many for the list",
        "announcement refused: codec is 'av1': allowed is h264 (and 9 more like it)",
    ]
