from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.rate_limit import RateLimiter

SECOND = 1_000_000_000


def test_the_default_interval_is_a_second() -> None:
    limiter = RateLimiter()
    assert [limiter.allow(now) for now in (0, SECOND - 1, SECOND)] == [0, None, 1]


@given(st.lists(st.integers(0, 3 * SECOND), max_size=60), st.integers(0, 2 * SECOND))
def test_every_call_held_back_is_counted_and_lines_keep_their_distance(
    pauses: list[int], interval_ns: int
) -> None:
    limiter = RateLimiter(interval_ns)
    lines: list[int] = []
    now_ns = counted = silent = 0
    for pause_ns in pauses:
        now_ns += pause_ns
        held_back = limiter.allow(now_ns)
        if held_back is None:
            silent += 1
            continue
        assert held_back == silent
        assert not lines or now_ns - lines[-1] >= interval_ns
        lines.append(now_ns)
        counted, silent = counted + held_back, 0
    assert len(lines) + counted + silent == len(pauses)
