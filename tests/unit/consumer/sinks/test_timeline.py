"""Timestamps that grow whatever the clocks do."""

from __future__ import annotations

import pytest

from fanlight.consumer.sinks.timeline import MAX_STEP_NS, MIN_STEP_NS, Timeline

MS = 1_000_000
S = 1_000_000_000
HOUR = 3600 * S
WALL = 1_700_000_000 * S


def times(*frames: tuple[int, int]) -> list[int]:
    """Timestamps of frames given as (capture, arrival)."""
    timeline = Timeline()
    return [timeline.advance(WALL + capture_ns, arrival_ns) for capture_ns, arrival_ns in frames]


def test_frames_keep_the_distance_of_their_capture_not_of_their_arrival() -> None:
    assert times((0, 0), (33 * MS, 90 * MS), (66 * MS, 91 * MS)) == [0, 33 * MS, 66 * MS]


@pytest.mark.parametrize("step", [2 * HOUR, -2 * HOUR])
def test_a_wall_clock_that_is_set_leaves_no_trace(step: int) -> None:
    after = times((0, 0), (33 * MS, 33 * MS), (66 * MS + step, 66 * MS), (99 * MS + step, 99 * MS))
    assert after == [0, 33 * MS, 66 * MS, 99 * MS]


def test_a_real_pause_stays_a_pause() -> None:
    assert times((0, 0), (60 * S, 60 * S)) == [0, 60 * S]


def test_a_very_long_pause_is_cut() -> None:
    assert times((0, 0), (30 * HOUR, 30 * HOUR)) == [0, MAX_STEP_NS]


@pytest.mark.parametrize("back", [0, 1, 500 * MS])
def test_time_never_stands_still_or_steps_back(back: int) -> None:
    assert times((0, 0), (-back, 1 * MS), (-back, 2 * MS)) == [0, MIN_STEP_NS, 2 * MIN_STEP_NS]
