from __future__ import annotations

import pytest

from fanlight.common import clock


def test_a_moment_of_unix_time_is_as_long_ago_in_monotonic_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "wall_ns", lambda: 1_000_000)
    monkeypatch.setattr(clock, "monotonic_ns", lambda: 70_000)
    assert clock.monotonic_of(990_000) == 60_000
    assert clock.monotonic_of(1_005_000) == 75_000
