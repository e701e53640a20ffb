from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.consumer.frame import Frame
from fanlight.consumer.pair_matcher import PairMatcher
from tests.support.headers import header
from tests.unit.consumer.build import MS, SECOND

IMAGE = np.zeros((1, 1, 3), np.uint8)
STREAMS = ("left", "right")


def frame(stream: str, captured_ns: int, seq: int = 0) -> Frame:
    made = header(seq)._replace(stream=stream)
    return Frame(IMAGE, made, 0, 0, 0.0, 0, captured_ns=captured_ns)


class Matching:
    """Frames pushed at the time at which they were captured."""

    def __init__(self, streams: tuple[str, ...] = STREAMS, tolerance_ms: int = 10) -> None:
        self.matcher = PairMatcher(streams, tolerance_ms * MS, 500 * MS)

    def push(self, stream: str, captured_ms: int, now_ms: int | None = None) -> list[int] | None:
        """The capture times of a pair, in ms."""
        now_ns = (captured_ms if now_ms is None else now_ms) * MS
        pair = self.matcher.push(frame(stream, captured_ms * MS), now_ns)
        return None if pair is None else [each.captured_ns // MS for each in pair]


def test_frames_within_the_tolerance_are_a_pair_in_the_order_of_the_streams() -> None:
    matching = Matching()
    assert matching.push("right", 1000) is None
    assert matching.push("left", 1010) == [1010, 1000]
    assert not matching.matcher.unmatched


def test_frames_beyond_the_tolerance_are_none() -> None:
    matching = Matching()
    matching.push("right", 1000)
    assert matching.push("left", 1011) is None


def test_the_nearest_one_is_taken_and_earlier_ones_are_counted() -> None:
    matching = Matching(tolerance_ms=20)
    for captured_ms in (980, 992, 1004, 1016):
        assert matching.push("right", captured_ms) is None
    assert matching.push("left", 1001) == [1001, 1004]
    assert matching.matcher.unmatched == {"right": 2}
    assert matching.push("left", 1018) == [1018, 1016]


def test_a_late_stream_gets_its_partners_from_before() -> None:
    matching = Matching()
    pairs = []
    for at_ms in range(1000, 2000, 33):
        matching.push("left", at_ms)
        pairs.append(matching.push("right", at_ms - 132, now_ms=at_ms))
    assert pairs[4:] == [[at_ms - 132] * 2 for at_ms in range(1000 + 132, 2000, 33)]


def test_three_streams_agree_all_with_one_another() -> None:
    matching = Matching(("a", "b", "c"))
    matching.push("a", 1000)
    matching.push("b", 1008)
    assert matching.push("c", 992) is None  # 16 ms from b
    assert matching.push("c", 1002) == [1000, 1008, 1002]


def test_frames_of_a_stream_whose_partner_is_dead_are_bounded_in_number_and_age() -> None:
    matching = Matching()
    for at_ms in range(1000, 3000, 5):
        matching.push("left", at_ms)
    assert matching.matcher.unmatched["left"] == 400 - 16
    matching.push("right", 4000)
    assert matching.matcher.unmatched["left"] == 400
    assert not matching.matcher.waits("left")
    assert matching.matcher.waits("right")


@given(
    st.lists(st.tuples(st.sampled_from(("a", "b", "c")), st.integers(0, 40)), max_size=80),
    st.integers(2, 3),
    st.integers(0, 30),
)
def test_pairs_agree_and_follow_one_another_and_every_frame_has_one_end(
    steps: list[tuple[str, int]], streams: int, tolerance_ms: int
) -> None:
    names = ("a", "b", "c")[:streams]
    matcher = PairMatcher(names, tolerance_ms * MS, 500 * MS)
    captured_ns = dict.fromkeys(names, SECOND)
    pushed, paired = 0, 0
    last: tuple[Frame, ...] | None = None
    for stream, step_ms in steps:
        if stream not in names:
            continue
        captured_ns[stream] += step_ms * MS
        pushed += 1
        pair = matcher.push(frame(stream, captured_ns[stream], pushed), max(captured_ns.values()))
        if pair is None:
            continue
        paired += len(pair)
        times_ns = [each.captured_ns for each in pair]
        assert max(times_ns) - min(times_ns) <= tolerance_ms * MS
        assert tuple(each.stream for each in pair) == names
        if last is not None:
            assert all(now.seq > before.seq for now, before in zip(pair, last, strict=True))
        last = pair
    waiting = sum(len(frames) for frames in matcher._waiting.values())
    assert pushed == paired + waiting + sum(matcher.unmatched.values())


@pytest.mark.parametrize("tolerance_ms", [5, 16])
def test_of_two_streams_of_one_rate_every_frame_has_its_partner(tolerance_ms: int) -> None:
    matching = Matching(tolerance_ms=tolerance_ms)
    pairs = []
    for at_ms in range(1000, 2000, 33):
        matching.push("left", at_ms)
        pairs.append(matching.push("right", at_ms + 5))
    assert all(pairs)
    assert not matching.matcher.unmatched
