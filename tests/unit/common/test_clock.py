from __future__ import annotations

import time

from common import clock


def test_wall_time_is_unix_time_in_nanoseconds() -> None:
    before = time.time_ns()
    now_ns = clock.wall_ns()
    assert before <= now_ns <= time.time_ns()


def test_monotonic_time_never_steps_back_and_runs_in_nanoseconds() -> None:
    before = time.monotonic_ns()
    readings = [clock.monotonic_ns() for _ in range(1000)]
    assert readings == sorted(readings)
    assert before <= readings[0]
    assert readings[-1] <= time.monotonic_ns()
