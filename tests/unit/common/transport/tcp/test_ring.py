from __future__ import annotations

import sys
from typing import Final

import pytest

from fanlight.common.transport.tcp.ring import KEYFRAME_REQUEST_NS, Cursor, Payload, PayloadRing
from tests.support.ring_stress import CAPACITY as STRESS_CAPACITY
from tests.support.ring_stress import PACES, made, run, wrong_with

NOW: Final = 1_700_000_000_000_000_000
SECOND: Final = 1_000_000_000
STALE: Final = SECOND // 4
LEAST_LAPS: Final = 2_000


class Writer:
    """A ring that is written to: `K` begins with a keyframe, `p` does not."""

    def __init__(self, capacity: int = 8, max_bytes: int = 1_000_000) -> None:
        self.ring = PayloadRing(capacity, max_bytes)

    def put(self, kinds: str, *, at_ns: int = NOW, frames: int = 1, size: int = 10) -> None:
        for kind in kinds:
            data = bytes([self.ring.written % 256]) * size
            self.ring.put(data, frames=frames, key=kind == "K", captured_ns=at_ns)

    def cursor(self, now_ns: int = NOW, stale_ns: int = STALE) -> Cursor:
        return Cursor(self.ring, stale_ns=stale_ns, now_ns=now_ns)

    def held(self) -> list[int]:
        """Numbers of the payloads that can still be had."""
        found = [self.ring.at(n) for n in range(len(self.ring._slots))]
        return sorted(one.number for one in found if one is not None and one.data is not None)


@pytest.fixture
def writer() -> Writer:
    return Writer()


def numbers(cursor: Cursor, now_ns: int = NOW) -> list[int]:
    """All that there is for this reader."""
    seen = []
    while (payload := cursor.next(now_ns)) is not None:
        assert payload.data is not None
        seen.append(payload.number)
    return seen


def next_number(cursor: Cursor) -> int | None:
    payload = cursor.next(NOW)
    return None if payload is None else payload.number


# The ring ------------------------------------------------------------------------------------------------


def test_what_is_put_in_is_there_with_its_number(writer: Writer) -> None:
    assert writer.ring.at(0) is None
    writer.ring.put(b"a", frames=3, key=True, captured_ns=5)
    writer.ring.put(b"b", frames=2, key=False, captured_ns=6)
    assert writer.ring.at(0) == Payload(number=0, first=0, frames=3, key=True, captured_ns=5, data=b"a")
    assert writer.ring.at(1) == Payload(number=1, first=3, frames=2, key=False, captured_ns=6, data=b"b")
    assert (writer.ring.written, writer.ring.newest_key) == (2, 0)


def test_large_frames_before_the_newest_keyframe_are_given_up() -> None:
    writer = Writer(max_bytes=100)
    writer.put("Kpppppp", size=20)
    assert writer.held() == list(range(7)), "all that follows the newest keyframe is needed"
    writer.put("K", size=20)
    assert writer.held() == [3, 4, 5, 6, 7], "as much as is allowed"
    writer.put("K", size=90)
    assert writer.held() == [8]
    writer.put("p", size=5)
    assert writer.held() == [8, 9]


def test_bytes_are_counted_over_many_laps() -> None:
    """A drift would give up too much, or too little, after hours."""
    writer = Writer(max_bytes=200)
    for size in (10, 25, 40, 5, 60, 100, 3) * 50:
        writer.put("Kp", size=size)
        assert writer.ring._bytes == sum(
            len(one.data) for one in writer.ring._slots if one is not None and one.data is not None
        )
    writer.put("Kppppppp", size=25)
    assert len(writer.held()) == 8


# Joining -------------------------------------------------------------------------------------------------


def test_a_new_reader_begins_with_the_newest_keyframe(writer: Writer) -> None:
    writer.put("KpKpp")
    cursor = writer.cursor(NOW + 2 * SECOND, stale_ns=10 * SECOND)
    assert cursor.awaits_key
    assert numbers(cursor) == [2, 3, 4]
    assert (cursor.lost, cursor.awaits_key, cursor.needs_key) == (0, False, False)


def test_a_keyframe_from_before_a_pause_is_too_old_to_begin_with(writer: Writer) -> None:
    writer.put("Kpp")
    cursor = writer.cursor(NOW + 2 * SECOND + 1)
    assert numbers(cursor) == []
    writer.put("ppKp")
    assert numbers(cursor) == [5, 6]
    assert cursor.lost == 0, "what came before its first was not meant for it"


# Being too slow ------------------------------------------------------------------------------------------


def test_a_lapped_reader_goes_on_with_the_newest_keyframe(writer: Writer) -> None:
    writer.put("Kp", frames=3)
    cursor = writer.cursor()
    assert next_number(cursor) == 0
    writer.put("pppppKpKpp", frames=3)  # 1 is gone, the newest keyframe is 9
    assert numbers(cursor) == [9, 10, 11]
    assert cursor.lost == 3 * 8
    assert not cursor.needs_key


def test_without_a_keyframe_to_go_on_with_one_is_needed(writer: Writer) -> None:
    writer.put("K")
    cursor = writer.cursor()
    assert next_number(cursor) == 0
    writer.put("p" * 10)
    assert next_number(cursor) is None
    assert (cursor.needs_key, cursor.awaits_key) == (True, True)
    cursor.needs_key = False
    writer.put("pp")
    assert next_number(cursor) is None
    assert not cursor.needs_key, "it is asked for once"
    writer.put("Kp")
    assert numbers(cursor) == [13, 14]
    assert cursor.lost == 12
    assert not cursor.awaits_key


def test_what_was_given_up_is_lost_as_what_was_overwritten() -> None:
    writer = Writer(max_bytes=50)
    writer.put("Kpp", size=10)
    cursor = writer.cursor()
    assert next_number(cursor) == 0
    writer.put("ppK", size=15)
    assert 1 not in writer.held()
    assert numbers(cursor) == [5]
    assert cursor.lost == 4
    assert not cursor.needs_key


# Being late ----------------------------------------------------------------------------------------------


def test_what_is_stale_is_left_out_once_there_is_a_newer_keyframe(writer: Writer) -> None:
    writer.put("Kpp", at_ns=NOW - STALE - 1, frames=2)
    assert numbers(writer.cursor()) == [0, 1, 2], "stale ones are better than none"
    new, old = writer.cursor(), writer.cursor()
    assert next_number(old) == 0
    writer.put("KpKp", at_ns=NOW, frames=2)
    assert (numbers(new), new.lost) == ([5, 6], 0), "it had none before"
    assert (numbers(old), old.lost) == ([5, 6], 8)


def test_a_reader_behind_without_a_keyframe_requests_one_twice_a_second(
    writer: Writer,
) -> None:
    writer.put("K")
    cursor = writer.cursor(stale_ns=STALE)
    asked = 0
    for step in range(12):  # 100 ms apart
        writer.put("p")
        assert cursor.next(NOW + STALE + 1 + step * SECOND // 10) is not None
        asked += cursor.needs_key
        cursor.needs_key = False
    assert asked == 2


def test_a_reader_that_catches_up_is_not_behind(writer: Writer) -> None:
    writer.put("K")
    cursor = writer.cursor()
    for now_ns in (NOW + STALE + 1, NOW, NOW + KEYFRAME_REQUEST_NS + 1, NOW + 2 * KEYFRAME_REQUEST_NS):
        writer.put("p")
        assert cursor.next(now_ns) is not None
        assert not cursor.needs_key
    writer.put("p")
    assert cursor.next(NOW + 2 * KEYFRAME_REQUEST_NS + 1) is not None
    assert cursor.needs_key


def test_a_new_reader_that_gets_what_is_old_at_first_asks_for_nothing(writer: Writer) -> None:
    writer.put("Kppp", at_ns=NOW - SECOND)
    writer.put("pp")
    cursor = writer.cursor(stale_ns=STALE)
    assert numbers(cursor) == [0, 1, 2, 3, 4, 5]
    writer.put("p", at_ns=NOW + SECOND)
    assert numbers(cursor, NOW + SECOND) == [6]
    assert not cursor.needs_key


def test_what_is_just_fresh_enough_is_not_left_out(writer: Writer) -> None:
    writer.put("Kpp", at_ns=NOW - STALE)
    cursor = writer.cursor()
    writer.put("K", at_ns=NOW)
    cursor_of_old = writer.cursor()
    assert numbers(cursor, NOW) == [0, 1, 2, 3]
    assert numbers(cursor_of_old, NOW) == [3]


# Under stress --------------------------------------------------------------------------------------------


def test_under_stress_every_payload_is_whole_in_order_and_accounted_for() -> None:
    before_s = sys.getswitchinterval()
    result = run(LEAST_LAPS)
    assert result.wrong == []
    assert result.laps >= 2_000
    assert sys.getswitchinterval() == before_s
    # It was a stress: readers were lapped, went on, and had to wait for keyframes; and they did get some.
    assert result.received > len(PACES) * 2 * STRESS_CAPACITY
    assert result.least >= 1
    assert result.gaps > 0
    assert result.dry > 0
    assert result.lost > 0


def test_the_checks_of_the_stress_find_what_is_wrong() -> None:
    data = made(5, 9, 2, key=True, filling=b"filling")
    right = Payload(5, 9, 2, key=True, captured_ns=5, data=data)
    assert wrong_with(right) is None
    for number in range(len(data)):
        damaged = bytearray(data)
        damaged[number] ^= 1
        assert wrong_with(right._replace(data=bytes(damaged))) == "payload 5: checksum"
    others = (
        right._replace(number=6), right._replace(first=8), right._replace(frames=1),
        right._replace(key=False), right._replace(captured_ns=4), right._replace(data=None),
    )  # fmt: skip
    assert all(wrong_with(other) for other in others)
