from __future__ import annotations

import time

import pytest

from common import clock


def test_wall_time_is_unix_time_in_nanoseconds() -> None:
    before = time.time_ns()
    now_ns = clock.wall_ns()
    assert before <= now_ns <= time.time_ns()


def test_a_moment_of_unix_time_is_as_long_ago_in_monotonic_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "wall_ns", lambda: 1_000_000)
    monkeypatch.setattr(clock, "monotonic_ns", lambda: 70_000)
    assert clock.monotonic_of(990_000) == 60_000
    assert clock.monotonic_of(1_005_000) == 75_000


def test_monotonic_time_never_steps_back_and_runs_in_nanoseconds() -> None:
    before = time.monotonic_ns()
    readings = [clock.monotonic_ns() for _ in range(1000)]
    assert readings == sorted(readings)
    assert before <= readings[0]
    assert readings[-1] <= time.monotonic_ns()
