from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.stats import Jitter, Window, percentile

SECOND = 1_000_000_000
MS = 1_000_000

# percentile --------------------------------------------------------------------------------------------


def nearest_rank(values: list[float], hundredths: int) -> float:
    """The definition, naively: the smallest value that so many percent do not exceed."""
    needed = Fraction(hundredths, 100) * len(values)
    return min(v for v in values if sum(other <= v for other in values) >= needed)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=250), st.integers(0, 100))
def test_percentiles_are_the_nearest_rank(values: list[float], hundredths: int) -> None:
    assert percentile(values, hundredths / 100) == nearest_rank(values, hundredths)
    assert percentile([], hundredths / 100) is None


# Window ------------------------------------------------------------------------------------------------


def filled(*times_ns: int, span_ns: int = SECOND, capacity: int = 2000) -> Window:
    window = Window(span_ns, capacity)
    for time_ns in times_ns:
        window.add(float(time_ns), time_ns)
    return window


def test_by_default_a_window_holds_five_seconds_and_2000_values() -> None:
    window = Window()
    for i in range(10_000):
        window.add(float(i), 0)
    assert window.values(5 * SECOND) == [float(i) for i in range(8_000, 10_000)]
    assert window.values(5 * SECOND + 1) == []


@pytest.mark.parametrize("fps", [1, 10, 25, 30, 60, 120])
def test_the_rate_of_a_steady_stream_is_exact(fps: int) -> None:
    window = Window()
    for n in range(fps * 20):
        now_ns = n * SECOND // fps
        window.add(0.0, now_ns)
        if n:
            assert window.rate(now_ns) == pytest.approx(fps, rel=1e-6)


def test_the_rate_of_a_stream_that_stopped_falls_to_zero() -> None:
    window = filled(*range(0, SECOND + 1, SECOND // 10), span_ns=5 * SECOND)
    rates = [window.rate(SECOND * n) for n in range(1, 8)]
    assert rates == pytest.approx([10, 5, 10 / 3, 2.5, 2, 0, 0])


@given(st.lists(st.integers(0, 2 * SECOND), max_size=50), st.integers(0, 3 * SECOND), st.integers(1, 20))
def test_a_window_holds_the_last_values_of_its_span(
    pauses: list[int], later_ns: int, capacity: int
) -> None:
    times, now_ns = [], 0
    for pause_ns in pauses:
        now_ns += pause_ns
        times.append(now_ns)
    window = filled(*times, capacity=capacity)
    end_ns = now_ns + later_ns
    expected = [float(t) for t in times[-capacity:] if end_ns - t <= SECOND]
    assert window.values(end_ns) == expected


# Jitter ------------------------------------------------------------------------------------------------


def jitter(*frames: tuple[int, int]) -> Jitter:
    meter = Jitter()
    for capture_ns, arrival_ns in frames:
        meter.observe(capture_ns, arrival_ns)
    return meter


def test_rfc_3550_by_hand() -> None:
    """J += (|D| - J) / 16, with D the change in transit time: 0, +16, -8, 0 ms."""
    meter = Jitter()
    expected_ms = [0.0, 0.0, 1.0, 1.4375, 1.34765625]
    for n, transit_ms in enumerate([50, 50, 66, 58, 58]):
        capture_ns = n * 33 * MS
        meter.observe(capture_ns, capture_ns + transit_ms * MS)
        assert meter.value_ns == pytest.approx(expected_ms[n] * MS)


@pytest.mark.parametrize("offset_ns", [-(10**18), -3600 * SECOND, 0, 3600 * SECOND, 10**18])
def test_neither_a_steady_transit_nor_a_clock_that_is_set_is_jitter(offset_ns: int) -> None:
    frames = [(n * 33 * MS, n * 33 * MS + (offset_ns if n > 20 else 0)) for n in range(50)]
    assert jitter(*frames).value_ns == jitter(*frames[21:]).value_ns == 0.0


def test_a_restart_forgets_the_transit_time_and_keeps_the_jitter() -> None:
    meter = jitter((0, 0), (0, 16 * MS))
    assert meter.value_ns == 1 * MS
    meter.restart()
    meter.observe(10**18, 5)
    assert meter.value_ns == 1 * MS, "another clock: its first frame tells nothing"
    meter.observe(10**18, 5 + 17 * MS)
    assert meter.value_ns == 2 * MS


@given(st.lists(st.tuples(st.integers(0, 10**19), st.integers(0, 10**19)), max_size=30))
def test_jitter_is_never_negative_nor_above_the_largest_change(frames: list[tuple[int, int]]) -> None:
    changes = [abs((a2 - c2) - (a1 - c1)) for (c1, a1), (c2, a2) in pairwise(frames)]
    assert 0 <= jitter(*frames).value_ns <= max(changes, default=0) * (1 + 1e-9)
