from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.fanout.multiplex.send_queue import MAX_BYTES, MOST_SAYINGS, SendQueue

NOW: Final = 1_700_000_000_000_000_000
STALE: Final = 250_000_000


@pytest.fixture
def queue() -> SendQueue:
    return SendQueue(stale_ns=STALE, max_bytes=10)


def key(queue: SendQueue, data: bytes, *, age_ns: int = 0) -> int:
    return queue.offer(data, key=True, captured_ns=NOW - age_ns, now_ns=NOW)


def delta(queue: SendQueue, data: bytes, *, age_ns: int = 0) -> int:
    return queue.offer(data, key=False, captured_ns=NOW - age_ns, now_ns=NOW)


def sent(queue: SendQueue, step: int = 1_000) -> bytes:
    """All that waits, as a connection takes it that takes so many bytes at once."""
    data = b""
    while (chunk := queue.chunk()) is not None:
        data += chunk[:step]
        queue.sent(len(chunk[:step]))
    return data


def waits(queue: SendQueue) -> bool:
    return queue.waits


def awaits_key(queue: SendQueue) -> bool:
    return queue.awaits_key


def head(queue: SendQueue) -> bytes:
    chunk = queue.chunk()
    assert chunk is not None
    return bytes(chunk)


# In good times -------------------------------------------------------------------------------------------


def test_frames_leave_in_order(queue: SendQueue) -> None:
    assert [key(queue, b"K"), delta(queue, b"a"), delta(queue, b"b"), key(queue, b"L")] == [0] * 4
    assert sent(queue) == b"KabL"


def test_it_says_whether_anything_waits(queue: SendQueue) -> None:
    assert not waits(queue)
    assert queue.chunk() is None
    queue.say(b"x")
    assert waits(queue)
    assert sent(queue) == b"x"
    assert not waits(queue)
    key(queue, b"frame")
    assert waits(queue)
    assert head(queue) == b"frame"
    queue.sent(4)
    assert waits(queue), "the rest of it"
    queue.sent(1)
    assert not waits(queue)


def test_a_chunk_stays_until_it_is_sent(queue: SendQueue) -> None:
    key(queue, b"frame")
    assert head(queue) == head(queue) == b"frame"
    queue.sent(2)
    assert head(queue) == b"ame"
    queue.sent(0)
    assert head(queue) == b"ame"


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_however_little_is_taken_frames_are_whole(queue: SendQueue, step: int) -> None:
    key(queue, b"Key")
    delta(queue, b"dlt")
    assert sent(queue, step) == b"Keydlt"


def test_short_messages_come_before_frames_that_wait_but_not_into_one(queue: SendQueue) -> None:
    key(queue, b"Key")
    delta(queue, b"dlt")
    queue.chunk()
    queue.sent(1)
    queue.say(b"!")
    queue.say(b"?")
    assert sent(queue, 1) == b"ey!?dlt"


# Keyframes -----------------------------------------------------------------------------------------------


def test_begins_with_a_keyframe_and_what_came_before_is_not_lost(queue: SendQueue) -> None:
    assert awaits_key(queue)
    assert [delta(queue, b"a"), delta(queue, b"b"), key(queue, b"K"), delta(queue, b"c")] == [0, 0, 0, 0]
    assert not awaits_key(queue)
    assert sent(queue) == b"Kc"


def test_begins_anew_with_a_keyframe_after_its_end(queue: SendQueue) -> None:
    key(queue, b"K")
    delta(queue, b"a")
    queue.end()
    assert not waits(queue)
    assert [delta(queue, b"b"), key(queue, b"L"), delta(queue, b"c")] == [0, 0, 0]
    assert sent(queue) == b"Lc"


def test_when_it_is_full_frames_are_dropped_up_to_a_keyframe(queue: SendQueue) -> None:
    key(queue, b"K" * 6)
    assert delta(queue, b"a" * 4) == 0, "exactly full"
    assert delta(queue, b"b") == 1
    assert awaits_key(queue)
    assert sent(queue) == b"K" * 6 + b"a" * 4
    assert delta(queue, b"c") == 1, "it refers to one that was dropped"
    assert key(queue, b"L") == 0
    assert sent(queue) == b"L"


def test_a_keyframe_for_which_there_is_no_room_replaces_all_that_wait(queue: SendQueue) -> None:
    key(queue, b"K" * 5)
    delta(queue, b"a" * 5)
    assert key(queue, b"L") == 2
    assert sent(queue) == b"L"


def test_what_is_being_sent_is_never_dropped(queue: SendQueue) -> None:
    key(queue, b"K" * 8)
    queue.chunk()
    queue.sent(3)
    delta(queue, b"a" * 10)
    assert key(queue, b"L") == 1
    assert sent(queue) == b"K" * 5 + b"L"


def test_what_is_being_sent_takes_no_room(queue: SendQueue) -> None:
    key(queue, b"K" * 10)
    queue.chunk()
    assert delta(queue, b"a" * 10) == 0
    assert delta(queue, b"b") == 1


def test_a_frame_that_is_larger_than_the_room_is_sent_alone(queue: SendQueue) -> None:
    assert key(queue, b"K" * 50) == 0
    assert delta(queue, b"a") == 1
    assert sent(queue) == b"K" * 50
    key(queue, b"K")
    assert key(queue, b"L" * 50) == 1
    assert sent(queue) == b"L" * 50


def test_once_the_oldest_is_stale_a_keyframe_replaces_all_that_wait(queue: SendQueue) -> None:
    key(queue, b"K", age_ns=STALE + 1)
    delta(queue, b"a")
    assert key(queue, b"L") == 2
    assert sent(queue) == b"L"


def test_what_is_just_fresh_enough_is_sent(queue: SendQueue) -> None:
    key(queue, b"K", age_ns=STALE)
    assert key(queue, b"L") == 0
    assert sent(queue) == b"KL"


def test_without_a_keyframe_stale_frames_are_better_than_none(queue: SendQueue) -> None:
    key(queue, b"K", age_ns=10 * STALE)
    assert delta(queue, b"a") == 0
    assert sent(queue) == b"Ka"


def test_what_is_being_sent_is_too_late_to_be_called_stale(queue: SendQueue) -> None:
    key(queue, b"K", age_ns=STALE + 1)
    queue.chunk()
    assert key(queue, b"L") == 0
    assert sent(queue) == b"KL"


def test_clearing_drops_the_frames_that_are_not_begun(queue: SendQueue) -> None:
    key(queue, b"Key")
    delta(queue, b"a")
    delta(queue, b"b")
    queue.say(b"!")
    queue.chunk()
    queue.sent(1)
    assert queue.clear() == 3, "the saying went first"
    assert not waits(queue)
    assert key(queue, b"K" * 10) == 0, "there is room again"


def test_the_usual_room_is_that_of_seconds() -> None:
    queue = SendQueue(stale_ns=STALE)
    assert key(queue, b"K") == 0
    assert delta(queue, bytes(MAX_BYTES - 1)) == 0
    assert delta(queue, b"a") == 1


# Properties ----------------------------------------------------------------------------------------------

# A frame (is it a keyframe, how large, how old), or so many bytes that are taken.
offers = st.tuples(st.booleans(), st.integers(1, 8), st.sampled_from([0, STALE, STALE + 1]))
steps = st.lists(offers | st.integers(1, 20), max_size=60)


@given(steps)
def test_what_arrives_are_whole_frames_in_order_that_can_be_decoded(
    steps: list[tuple[bool, int, int] | int],
) -> None:
    queue = SendQueue(stale_ns=STALE, max_bytes=20)
    stream, dropped, number, early = b"", 0, 0, 0
    is_key: list[bool] = []
    for step in steps:
        if isinstance(step, int):
            chunk = queue.chunk()
            if chunk is not None:
                stream += chunk[:step]
                queue.sent(len(chunk[:step]))
            continue
        keyed, size, age_ns = step
        # Each byte tells its frame; the last one of a frame is marked.
        data = bytes([number]) * (size - 1) + bytes([number | 0x80])
        dropped += queue.offer(data, key=keyed, captured_ns=NOW - age_ns, now_ns=NOW)
        is_key.append(keyed)
        number += 1
        early += not any(is_key)
        assert queue._bytes == sum(len(frame.data) for frame in queue._frames)
        assert queue._bytes <= 20
    stream += sent(queue, 3)
    ends = [byte & 0x7F for byte in stream if byte & 0x80]
    assert [byte & 0x7F for byte in stream] == sorted(byte & 0x7F for byte in stream)
    assert set(ends) == {byte & 0x7F for byte in stream}, "whole frames"
    assert len(ends) + dropped + early == number
    before = -2
    for end in ends:
        assert is_key[end] or end == before + 1, "it follows what it refers to"
        before = end


# Keyframes that are needed ------------------------------------------------------------------------------

HALF_SECOND: Final = 500_000_000


def needs_key(queue: SendQueue) -> bool:
    """Whether a keyframe should be asked for; once."""
    needed, queue.needs_key = queue.needs_key, False
    return needed


def test_whoever_is_behind_needs_a_keyframe_and_asks_for_one_twice_a_second(queue: SendQueue) -> None:
    key(queue, b"K", age_ns=STALE)
    delta(queue, b"a")
    assert not needs_key(queue), "not so far behind yet"
    asked = []
    for ms in range(1, 1200, 100):
        queue.offer(b"", key=False, captured_ns=NOW, now_ns=NOW + ms * 1_000_000)
        asked.append(needs_key(queue))
    assert asked.count(True) == 2
    assert not asked[0], "who is new gets what is old at first"


def test_whoever_can_go_on_and_has_nothing_to_go_on_with_needs_a_keyframe(queue: SendQueue) -> None:
    key(queue, b"K" * 10)
    delta(queue, b"a")
    assert not needs_key(queue), "it is full: a keyframe would not be taken either"
    sent(queue)
    delta(queue, b"b")
    assert needs_key(queue)


def test_nobody_needs_a_keyframe_before_the_first(queue: SendQueue) -> None:
    delta(queue, b"a")
    assert not needs_key(queue), "the client asks by itself"


def test_answers_to_who_does_not_read_are_bounded(queue: SendQueue) -> None:
    for _ in range(MOST_SAYINGS + 5):
        queue.say(b"x")
    assert sent(queue) == b"x" * MOST_SAYINGS
    queue.say(b"y")
    assert sent(queue) == b"y"
